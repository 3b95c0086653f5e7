"""The server's part in the limits: a request's head may not grow without end.

What reads HTTP here hands over a header only when it is whole, so no limit of the application sees
one that never ends.
"""

import json
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.problems import MEDIA_TYPE, TYPE_BASE
from service.errors import HeadersTooLarge

_MOST: Final = 65_536  # bytes; the application takes 16 KiB of headers and says no in its own words


class HeadLimited(HttpToolsProtocol):
    """Answers 431 and hangs up once a head is longer than `_MOST` and what came in one piece."""

    _in_head = True
    _head_bytes = 0
    _heads = 0

    def data_received(self, data: bytes) -> None:
        was_in_head, heads = self._in_head, self._heads
        super().data_received(data)
        # A large piece may hold a whole request, after which another head may begin.
        if was_in_head and self._in_head and self._heads == heads:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST and not self.transport.is_closing():
                self._refuse()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def _refuse(self) -> None:
        error = HeadersTooLarge(f"the head of a request may have {_MOST} bytes")
        body = json.dumps(
            {
                "type": TYPE_BASE + error.code.replace("_", "-"),
                "title": error.title,
                "status": error.status,
                "detail": error.detail,
                "code": error.code,
            }
        ).encode()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            + f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n".encode()
            + b"connection: close\r\n\r\n"
            + body
        )
        self.transport.close()
