"""The directory of a zip, a record at a time: no list of members is made, whatever it claims.

Layout: APPNOTE.TXT 6.3.10 of PKWARE. What other readers forgive is refused here, so that all of
them see the same members: bytes in front of the archive, a second directory, many disks.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from service.peek.source import Broken, Source, unpack

MAX_NAME_BYTES: Final = 1024
_MAX_RATIO: Final = 1100  # deflate itself stops at 1032
_CHUNK: Final = 1 << 16
_RECORD: Final = "<4s6H3I5H2I"
_RECORD_BYTES: Final = 46
_LOCAL_BYTES: Final = 30
_END_BYTES: Final = 22
_MAX16: Final = 0xFFFF
_MAX32: Final = 0xFFFFFFFF
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_STORED, _DEFLATED = 0, 8
_PLAIN_KINDS: Final = (0, stat.S_IFREG, stat.S_IFDIR)


@dataclass(frozen=True)
class Member:
    """What the directory says of a member; `name` ends with a slash for a folder."""

    name: str
    bytes: int
    packed_bytes: int
    offset: int


@dataclass(frozen=True)
class _Directory:
    count: int
    start: int
    end: int


@dataclass(frozen=True)
class Members:
    """The members of an archive, `count` of them by its own word."""

    source: Source
    directory: _Directory

    @property
    def count(self) -> int:
        return self.directory.count

    @property
    def directory_bytes(self) -> int:
        """Of which names are the largest part."""
        return self.directory.end - self.directory.start

    def first(self, most: int) -> Iterator[Member]:
        """The first of them, each checked. Raises Broken; also where there are fewer than said."""
        packed = 0
        at = self.directory.start
        for number, (record, length) in enumerate(_records(self.source, self.directory)):
            if number >= most:
                return
            at += length
            member = _member(record, self.directory.start)
            packed += member.packed_bytes + _LOCAL_BYTES
            if packed > self.directory.start:
                raise Broken("its members claim more bytes than the file has, or overlap")
            yield member
        if at != self.directory.end:
            raise Broken("its directory is longer than its members")


def members_of(source: Source) -> Members:
    """Reads the end of the archive only. Raises Broken."""
    tail_bytes = min(source.size, _END_BYTES + _MAX16)
    tail = source.bytes_at(source.size - tail_bytes, tail_bytes)
    at = _end_record(tail)
    _, disk, first_disk, here, count, size, start, _ = unpack("<4s4H2IH", tail, at)
    end = source.size - tail_bytes + at
    if disk or first_disk or here != count:
        raise Broken("it is one of several disks")
    long = _zip64_end(source, end)
    if long is not None:
        said = ((count, _MAX16), (size, _MAX32), (start, _MAX32))
        if any(short not in (most, n) for (short, most), n in zip(said, long, strict=False)):
            raise Broken("its two end records contradict each other")
        count, size, start, end = long
    if start + size != end:
        raise Broken("its directory does not lie where it says")
    if count == 0 or count * _RECORD_BYTES > size:
        raise Broken(f"its directory of {size} bytes cannot hold {count} members")
    return Members(source, _Directory(count, start, end))


def _end_record(tail: bytes) -> int:
    """Where it is: the one whose comment reaches to the end of the file."""
    at = len(tail) - _END_BYTES
    while at >= 0:
        at = tail.rfind(b"PK\x05\x06", 0, at + 4)
        if at >= 0 and at + _END_BYTES + unpack("<H", tail, at + 20)[0] == len(tail):
            return at
        at -= 1
    raise Broken("it has no end record: it was cut, or bytes follow it")


def _zip64_end(source: Source, end: int) -> tuple[int, int, int, int] | None:
    locator = source.bytes_at(end - 20, 20)
    if not locator.startswith(b"PK\x06\x07"):
        return None
    _, disk, at, disks = unpack("<4sIQI", locator)
    record = source.bytes_at(at, 56)
    if not record.startswith(b"PK\x06\x06") or at + 56 != end - 20 or disk or disks > 1:
        raise Broken("its zip64 end record is not where it should be")
    numbers = unpack("<4sQ2H2I4Q", record)
    return numbers[7], numbers[8], numbers[9], at


def _records(source: Source, directory: _Directory) -> Iterator[tuple[bytes, int]]:
    """(record, its length), read in chunks."""
    window = _Window(source, directory.start, directory.end)
    for _ in range(directory.count):
        name, extra, comment = unpack("<3H", window.peek(_RECORD_BYTES), 28)
        length = _RECORD_BYTES + name + extra + comment
        yield window.peek(length), length
        window.used += length


@dataclass
class _Window:
    """A stretch of the directory that is in memory; what was `used` of it is not wanted again."""

    source: Source
    at: int
    end: int
    data: bytes = b""
    used: int = 0

    def peek(self, length: int) -> bytes:
        """The next `length` bytes. Raises Broken where the directory ends before."""
        if len(self.data) - self.used < length:
            left = self.data[self.used :]
            wanted = max(_CHUNK, length - len(left))
            more = self.source.bytes_at(self.at, min(wanted, self.end - self.at))
            self.data, self.used, self.at = left + more, 0, self.at + len(more)
            if len(self.data) < length:
                raise Broken("its directory ends in the middle of a member")
        return self.data[self.used : self.used + length]


def _member(record: bytes, directory_start: int) -> Member:
    fields = unpack(_RECORD, record)
    flags, method = fields[3], fields[4]
    packed, size, name_bytes, extra_bytes = fields[8], fields[9], fields[10], fields[11]
    mode, offset = fields[15] >> 16, fields[16]
    if record[:4] != b"PK\x01\x02":
        raise Broken("its directory is damaged")
    raw = record[_RECORD_BYTES : _RECORD_BYTES + name_bytes]
    name = _name(raw, flags)
    if _MAX32 in (packed, size, offset):
        extra = record[_RECORD_BYTES + name_bytes :][:extra_bytes]
        size, packed, offset = _zip64(extra, size, packed, offset)
    shown = name[:80]
    if flags & _ENCRYPTED:
        raise Broken(f"{shown!r} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise Broken(f"{shown!r} is neither stored nor deflated")
    if stat.S_IFMT(mode) not in _PLAIN_KINDS:
        raise Broken(f"{shown!r} is a link or a device")
    if size > _MAX_RATIO * packed or (method == _STORED and size != packed):
        raise Broken(f"{shown!r} claims to unpack to {size} bytes")
    if offset + _LOCAL_BYTES + name_bytes + packed > directory_start:
        raise Broken(f"{shown!r} does not lie within the file")
    return Member(name, size, packed, offset)


def _name(raw: bytes, flags: int) -> str:
    if not 0 < len(raw) <= MAX_NAME_BYTES:
        raise Broken(f"a name has {len(raw)} bytes")
    try:
        name = raw.decode("utf-8" if flags & 0x800 else "cp437")
    except UnicodeDecodeError:
        raise Broken("a name is not UTF-8, though it says so") from None
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ".." in parts or name.startswith("/"):
        raise Broken(f"{name[:80]!r} is not a safe name")
    return name


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The numbers that had no room, in their order, from the first zip64 field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = unpack("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wanted = [value == _MAX32 for value in (size, packed, offset)]
            numbers = iter(unpack(f"<{sum(wanted)}Q", field))
            given = (size, packed, offset)
            size, packed, offset = (
                next(numbers) if long else value for long, value in zip(wanted, given, strict=True)
            )
            return size, packed, offset
        at += 4 + length
    raise Broken("a size of zip64 is missing")
