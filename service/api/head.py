"""The server's part in the limits: a request's head and its trailers may not grow without end.

What reads HTTP here hands over a header only when it is whole, and keeps the fields after a chunked
body for nobody, so no limit of the application sees those that never end.
"""

import json
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.problems import MEDIA_TYPE, TYPE_BASE
from service.errors import HeadersTooLarge

_MOST: Final = 65_536  # bytes; the application takes 16 KiB of headers and says no in its own words


class HeadLimited(HttpToolsProtocol):
    """Answers 431 and hangs up once a head, or what comes without a byte of body in it, is longer
    than `_MOST` and what came in one piece."""

    _in_head = True
    _got_on = False
    _bytes = 0  # since something last came whole

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
        self._in_head, self._got_on = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._got_on = True
        super().on_message_complete()

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
