"""The server's part in the limits: a request's head and its trailers may not grow without end,
and a head must come in time.

What reads HTTP here hands over a header only when it is whole, and keeps the fields after a chunked
body for nobody, so no limit of the application sees those that never end.
"""

import asyncio
import json
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.problems import MEDIA_TYPE, TYPE_BASE
from service.errors import HeadersTooLarge

_MOST: Final = 65_536  # bytes; the application takes 16 KiB of headers and says no in its own words
_HEAD_S: Final = 20.0  # from the connection, or the answer before, to the end of a head


class HeadLimited(HttpToolsProtocol):
    """Answers 431 and hangs up once a head, or what comes without a byte of body in it, is longer
    than `_MOST` and what came in one piece. Hangs up where no head has come whole in `head_s`."""

    head_s = _HEAD_S

    _in_head = True
    _in_body = False
    _got_on = False
    _bytes = 0  # since something last came whole
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._got_on = False
        super().data_received(data)
        self._bytes = 0 if self._got_on else self._bytes + len(data)
        if self._bytes > _MOST and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        self._in_head, self._bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body, self._got_on = False, True, True
        self._await_nothing()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._got_on = False, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_head()

    def _await_head(self) -> None:
        self._await_nothing()
        self._patience = self.loop.call_later(self.head_s, self._lose_patience)

    def _await_nothing(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self._in_body:  # the rest of a body that was refused is let pass
            self._await_head()
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        if self._in_head or not self.cycle.response_started:  # a second answer would be of nothing
            self.transport.write(_answer())
        self.transport.close()


def _answer() -> bytes:
    error = HeadersTooLarge(f"the head of a request, or its trailers, may have {_MOST} bytes")
    body = json.dumps(
        {
            "type": TYPE_BASE + error.code.replace("_", "-"),
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
        }
    ).encode()
    return (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
        + f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n".encode()
        + b"connection: close\r\n\r\n"
        + body
    )
