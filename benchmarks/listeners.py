"""Clients of the stream of all jobs, in one process: `python -m benchmarks.listeners URL COUNT`.

Says `listening` when all are connected; at each SIGUSR1 how many still are. The key is in
LISTENER_KEY.
"""

import asyncio
import os
import signal
import sys

import httpx2


async def main(url: str, count: int) -> None:
    """Until it is killed."""
    living = 0
    ready = asyncio.Event()

    async def listen(client: httpx2.AsyncClient) -> None:
        nonlocal living
        headers = {"Accept": "text/event-stream"}
        async with client.stream("GET", "/v1/events", headers=headers) as answer:
            answer.raise_for_status()
            living += 1
            if living == count:
                ready.set()
            try:
                async for _ in answer.aiter_raw():
                    pass
            finally:
                living -= 1

    def tell() -> None:
        sys.stdout.write(f"{living}\n")
        sys.stdout.flush()

    headers = {"Authorization": f"Bearer {os.environ['LISTENER_KEY']}"}
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(
        base_url=url, headers=headers, timeout=None, limits=limits, trust_env=False
    ) as client:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
        streams = [asyncio.create_task(listen(client)) for _ in range(count)]
        await ready.wait()
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await asyncio.gather(*streams, return_exceptions=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
