"""Zip archives of strangers: what their directory may say, and how members are taken out."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from worker.engine.errors import InvalidModel

MAX_MEMBERS: Final = 100_000
_MAX_RATIO: Final = 200  # weights hardly shrink; JSON of labels about tenfold
_SLACK: Final = 1 << 20
_CHUNK: Final = 1 << 20
_ENCRYPTED: Final = 0x1
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError,
    ValueError, OverflowError,
)  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, its directory checked: names, kinds, count and ratios of its members.

    Raises `InvalidModel`; of what the caller does with it nothing is caught.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise InvalidModel(f"not a whole zip archive: {str(error)[:300]}") from error
    with archive:
        _check(archive.infolist(), archive.start_dir)
        yield archive


def files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Its members without folders."""
    return [member for member in archive.infolist() if not member.is_dir()]


def take(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """A small member, of at most `limit` bytes."""
    if member.file_size > limit:
        raise InvalidModel(f"{member.filename} has {member.file_size} bytes, {limit} are taken")
    with _broken_named(member):
        return archive.read(member)


def copy_out(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """A large member, to a path of ours, with flat memory."""
    with _broken_named(member), archive.open(member) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            file.write(chunk)


@contextmanager
def _broken_named(member: zipfile.ZipInfo) -> Iterator[None]:
    """Around reads of a member, which find its own header and not only the directory's entry."""
    try:
        yield
    except _BROKEN as error:
        raise InvalidModel(f"{member.filename[:120]} in the archive is broken: {error}") from error


def _check(members: list[zipfile.ZipInfo], directory_start: int) -> None:
    if not 0 < len(members) <= MAX_MEMBERS:
        raise InvalidModel(f"the archive has {len(members)} members")
    seen: set[str] = set()
    for member in members:
        _check_name(member)
        folded = member.filename.casefold()
        if folded in seen:
            raise InvalidModel(f"the archive holds {member.filename[:120]} twice")
        seen.add(folded)
        if not 0 <= member.header_offset < directory_start:
            raise InvalidModel(f"{member.filename[:120]} does not lie within the archive")
        if member.flag_bits & _ENCRYPTED:
            raise InvalidModel("the archive is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InvalidModel("the archive must be stored or deflated")
        if member.file_size > _MAX_RATIO * member.compress_size + _SLACK:
            raise InvalidModel(f"{member.filename[:120]} unpacks to an absurd size")


def _check_name(member: zipfile.ZipInfo) -> None:
    name = member.filename
    path = PurePosixPath(name)
    if not name.isprintable() or "\\" in name or ":" in name:
        raise InvalidModel("the archive holds a name with odd characters")
    if path.is_absolute() or ".." in path.parts or len(name) > 1024:
        raise InvalidModel(f"the archive holds an unsafe name: {name[:120]}")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InvalidModel(f"{name[:120]} in the archive is not a plain file")
