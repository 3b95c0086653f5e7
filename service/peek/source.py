"""Bytes in the store, as the first look reads them: a little, from anywhere."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ReadRange = Callable[[int, int], Iterable[bytes]]
"""(start, end) gives the bytes [start, end)."""


@dataclass(frozen=True)
class Source:
    """An upload of `size` bytes."""

    size: int
    read: ReadRange

    def bytes_at(self, start: int, length: int) -> bytes:
        """Up to `length` bytes: fewer at the end, none beyond it."""
        end = min(self.size, start + length)
        if not 0 <= start < end:
            return b""
        data = bytearray()
        for chunk in self.read(start, end):
            data += chunk
        return bytes(data)


class Broken(Exception):
    """It is not what it seems to be; the message goes to whoever sent it."""


def unpack(layout: str, data: bytes, at: int = 0) -> tuple[int, ...]:
    """The numbers there. Raises Broken where the bytes end early."""
    try:
        return struct.unpack_from(layout, data, at)
    except struct.error:
        raise Broken("it ends in the middle of a record") from None
