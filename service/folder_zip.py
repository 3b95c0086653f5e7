"""A stored zip of a model's folder, laid out from sizes and checksums and never written to disk.

Entries are stored, not compressed: weights do not compress, and so any range of the archive can be
read straight from the blobs. Layout: APPNOTE.TXT 6.3.10 of PKWARE, with zip64 where it is needed.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from service.store.values import ModelFile

_DATE: Final = 1 << 5 | 1  # 1 January 1980: the same bytes for the same files, always
_UTF8: Final = 1 << 11
_MAX32: Final = 0xFFFFFFFF
_NEEDS: Final = 45  # zip64
_MODE: Final = 0o100644 << 16

Read = Callable[[str, int, int], Iterable[bytes]]
"""(sha256, start, end) gives the bytes [start, end) of a blob."""


@dataclass(frozen=True)
class _Part:
    """A stretch of the archive: bytes of ours, or a whole blob."""

    size: int
    data: bytes | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class FolderZip:
    """The archive of these files, at its top: whoever unpacks it says into which folder."""

    files: Sequence[ModelFile]

    @cached_property
    def etag(self) -> str:
        """Names the archive's bytes without reading them."""
        names = "\n".join(f"{file.name}:{file.sha256}" for file in self.files)
        return hashlib.sha256(names.encode()).hexdigest()

    @cached_property
    def size(self) -> int:
        """Bytes of the archive."""
        return sum(part.size for part in self._parts)

    def read(self, start: int, end: int, read: Read) -> Iterator[bytes]:
        """The bytes [start, end)."""
        at = 0
        for part in self._parts:
            low, high = max(start - at, 0), min(end - at, part.size)
            if low < high:
                if part.data is not None:
                    yield part.data[low:high]
                else:
                    assert part.sha256 is not None
                    yield from read(part.sha256, low, high)
            at += part.size

    @cached_property
    def _parts(self) -> list[_Part]:
        parts: list[_Part] = []
        central: list[bytes] = []
        at = 0
        for file in self.files:
            name = file.name.encode()
            header = _local_header(name, file)
            central.append(_central_header(name, file, at))
            parts += [_Part(len(header), data=header), _Part(file.bytes, sha256=file.sha256)]
            at += len(header) + file.bytes
        directory = b"".join(central)
        end = directory + _end(len(self.files), len(directory), at)
        return [*parts, _Part(len(end), data=end)]


def _local_header(name: bytes, file: ModelFile) -> bytes:
    # Always with the zip64 field, so that the layout does not depend on the sizes.
    extra = struct.pack("<HHQQ", 1, 16, file.bytes, file.bytes)
    return (
        struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\x03\x04",
            _NEEDS,
            _UTF8,
            0,
            0,
            _DATE,
            file.crc32,
            _MAX32,
            _MAX32,
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def _central_header(name: bytes, file: ModelFile, offset: int) -> bytes:
    extra = struct.pack("<HHQQQ", 1, 24, file.bytes, file.bytes, offset)
    return (
        struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02",
            3 << 8 | _NEEDS,  # made on Unix, so that the mode counts
            _NEEDS,
            _UTF8,
            0,
            0,
            _DATE,
            file.crc32,
            _MAX32,
            _MAX32,
            len(name),
            len(extra),
            0,
            0,
            0,
            _MODE,
            _MAX32,
        )
        + name
        + extra
    )


def _end(count: int, size: int, offset: int) -> bytes:
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 3 << 8 | _NEEDS, _NEEDS, 0, 0, count, count, size, offset
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + size, 1)
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), _MAX32, _MAX32, 0
    )
    return record + locator + end
