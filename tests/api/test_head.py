"""What the server hangs up on: heads without an end, and heads that do not come."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import uvicorn

from service.api.head import HeadLimited

WHOLE: Final = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Hasty(HeadLimited):
    head_s = 0.2


@contextmanager
def serving(protocol: type[HeadLimited]) -> Iterator[socket.socket]:
    """A server whose every answer is 204, once the body has come."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, loop="asyncio")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        yield listening
    finally:
        server.should_exit = True
        thread.join()


def test_a_header_and_trailers_that_never_end_are_cut_off() -> None:
    with serving(HeadLimited) as listening:
        assert converse(listening, [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"]).startswith(
            b"HTTP/1.1 204"
        )
        body = b"z" * 200_000
        whole = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + body
        for _ in range(5):  # in one piece or in several: that is the system's choice
            assert converse(listening, [whole]).startswith(b"HTTP/1.1 204")
        endless = converse(listening, [b"GET / HTTP/1.1\r\nx: ", *[b"y" * 65_536] * 100])
        assert endless.startswith(b"HTTP/1.1 431")
        assert b'"code": "headers_too_large"' in endless
        begun = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n"
        trailers = converse(listening, [begun, *[b"x: " + b"y" * 65_000 + b"\r\n"] * 100])
        assert trailers.startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nx: ", WHOLE, WHOLE + b"\r\n", WHOLE + b"G"]
)
def test_a_client_that_sends_no_whole_head_is_hung_up_on(begun: bytes) -> None:
    with (
        serving(Hasty) as listening,
        socket.create_connection(listening.getsockname(), timeout=4) as connection,
    ):
        connection.sendall(begun)
        answer = b""
        while part := connection.recv(4096):  # raises if nobody hangs up, as uvicorn by itself
            answer += part
    assert answer.startswith(b"HTTP/1.1 204") == begun.startswith(WHOLE)


def test_a_body_may_come_slower_than_a_head() -> None:
    with (
        serving(Hasty) as listening,
        socket.create_connection(listening.getsockname(), timeout=4) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nz")
        connection.settimeout(3 * Hasty.head_s)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(4)
        connection.sendall(b"z")
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")


def converse(listening: socket.socket, parts: list[bytes]) -> bytes:
    """Send the parts until the other side has had enough; what it answered."""
    with socket.create_connection(listening.getsockname(), timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            return connection.recv(4096)
        except OSError:
            return connection.recv(4096)
