"""`Prefer: wait=N` (RFC 7240)."""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from service.store.errors import DatabaseUnavailable

MAX_WAIT_S: Final = 60.0
_POLL_S: Final = 0.1
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?=$|[,;\s])")

T = TypeVar("T")


def wait_seconds(prefer: str | None) -> float:
    """How long the client would wait; 0 where it says nothing. Never more than a minute."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


async def settled(
    first: T,
    read: Callable[[], T],
    is_settled: Callable[[T], bool],
    wait_s: float,
    check: Callable[[], None],
) -> T:
    """`first`, or what `read` gives once it is settled or the time is up.

    Waits on the event loop, so that sixty who wait take no thread from anybody else. `check` raises
    where the caller may hear nothing more. While the database is away nothing is known, and what
    was accepted stays accepted: that is waited out too.
    """

    def look() -> T:
        check()
        return read()

    seen, deadline = first, time.monotonic() + wait_s
    while not is_settled(seen) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_S)
        with suppress(DatabaseUnavailable):
            seen = await asyncio.to_thread(look)
    return seen
