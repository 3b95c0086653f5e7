"""JSON lines between the worker and an engine child, over one end of a socket pair.

One line is one message, in either direction. The child is not trusted: whatever it writes that is
not a JSON object on a line of bounded length is a `ChannelError` here, and never more than that.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from typing import Any

MAX_LINE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16

Message = dict[str, Any]


class ChannelError(Exception):
    """The conversation cannot go on: a broken line, a full or a vanished other end."""


class Channel:
    """One end of the conversation. Owns the socket.

    Any thread may `send`; one thread at a time may `receive` or `poll`.
    A `send` waits at most `send_timeout_s` for a reader that does not read (None: for ever, which
    is what a child wants: it should slow down with its worker, not die). After a failed `send` half
    a line may be on its way, so the channel is good for closing only.
    """

    def __init__(self, sock: socket.socket, *, send_timeout_s: float | None = None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._send_timeout_s = send_timeout_s
        self._send_lock = threading.Lock()
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to hold no newline
        self._ended = False
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)

    def send(self, message: Message) -> None:
        """Raises ValueError for what JSON cannot say (NaN and infinity too) or a line too long."""
        line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"a message may have {MAX_LINE_BYTES} bytes, this has {len(line)}")
        with self._send_lock:
            self._send_all(memoryview(line))

    def receive(self, timeout: float | None) -> Message | None:
        """The next message; None when the other end has closed and everything was read.

        Raises TimeoutError after `timeout` seconds (None: waits for ever).
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (line := self._take_line()) is None:
            if self._ended:
                if self._buffer:
                    raise ChannelError("the other end closed in the middle of a line")
                return None
            if not self._readable.poll(_remaining_ms(deadline)):
                raise TimeoutError(f"no message within {timeout} s")
            self._fill()
        return _parse(line)

    def poll(self) -> Message | None:
        """A message that is already here, else None at once: about a microsecond.

        Raises ChannelError when the other end has closed: nobody listens any more.
        """
        if not self._buffer and not self._readable.poll(0):
            return None
        if (line := self._take_line()) is None:
            if self._readable.poll(0):
                self._fill()
                line = self._take_line()
            if line is None:
                if self._ended:
                    raise ChannelError("the other end has closed")
                return None
        return _parse(line)

    def close(self) -> None:
        """Closing twice is fine; the other end reads what was sent, then the end."""
        self._ended = True
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def _send_all(self, rest: memoryview) -> None:
        timeout = self._send_timeout_s
        deadline = None if timeout is None else time.monotonic() + timeout
        while rest:
            try:
                rest = rest[self._sock.send(rest, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                if not self._writable.poll(_remaining_ms(deadline)):
                    raise ChannelError(f"the other end read nothing for {timeout} s") from None
            except OSError as error:
                raise ChannelError(f"the other end is gone: {error}") from error

    def _fill(self) -> None:
        try:
            chunk = self._sock.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:  # it died with our lines unread: the same to us as an end
            chunk = b""
        except OSError as error:
            raise ChannelError(f"the channel broke: {error}") from error
        self._ended = not chunk
        self._buffer += chunk

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._searched)
        if max(end, len(self._buffer) if end < 0 else 0) > MAX_LINE_BYTES:
            raise ChannelError(f"a line is longer than {MAX_LINE_BYTES} bytes")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line


def pair(*, send_timeout_s: float | None) -> tuple[Channel, socket.socket]:
    """The worker's end, with `send_timeout_s`, and the bare socket that the child will wrap."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours, send_timeout_s=send_timeout_s), theirs


def _remaining_ms(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ChannelError(f"not a line of JSON: {error}") from error
    if not isinstance(message, dict):
        raise ChannelError(f"a message is a JSON object, this is {type(message).__name__}")
    return message


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
