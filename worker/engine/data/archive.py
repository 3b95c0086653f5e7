"""A zip from anybody: looked through before anything is unpacked, read member by member."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from worker.engine.data.rows import MAX_BYTES
from worker.engine.errors import InvalidDataset

MAX_FILES: Final = 2_000_000
MAX_RATIO: Final = 100  # images and parquet are compressed already
_SMALL_BYTES: Final = 1 << 16  # a member that unpacks to less is no danger, whatever its ratio

Member = tuple[PurePosixPath, zipfile.ZipInfo]


READ_ERRORS: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, ValueError
)  # fmt: skip
"""What zipfile raises over a damaged archive: a seek to nowhere is an OSError, for one."""


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises InvalidDataset if it is none."""
    with read_errors():
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


@contextmanager
def read_errors() -> Iterator[None]:
    """Around reads of an archive, and nothing else: a disk that is full is an OSError as well."""
    try:
        yield
    except READ_ERRORS as error:
        raise InvalidDataset(f"not a readable zip: {error}"[:500]) from error


def members(archive: zipfile.ZipFile) -> list[Member]:
    """Its files in the order of their names, without what desktop systems leave behind.

    Raises `InvalidDataset` for links, encryption, names that lead elsewhere or appear twice, and
    sizes or ratios that no data of ours has.
    """
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _check_sizes(infos)
    found = [(_safe_path(info), info) for info in infos]
    if len({path for path, _ in found}) != len(found):
        raise InvalidDataset("the zip has a file twice")
    kept = [(path, info) for path, info in found if not _is_litter(path)]
    return sorted(kept, key=lambda member: member[1].filename)


def common_root(paths: list[PurePosixPath]) -> int:
    """1 where everything lies in one folder of the zip, else 0: how many parts to leave out."""
    first = {path.parts[0] for path in paths}
    return int(len(first) == 1 and all(len(path.parts) > 1 for path in paths))


def _check_sizes(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_FILES:
        raise InvalidDataset(f"{len(infos)} files are more than the {MAX_FILES} allowed")
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        raise InvalidDataset(f"{total} bytes are more than the {MAX_BYTES} allowed")
    for info in infos:
        if info.file_size > max(_SMALL_BYTES, MAX_RATIO * info.compress_size):
            raise InvalidDataset(f"{info.filename} claims to unpack to {info.file_size} bytes")


def _safe_path(info: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InvalidDataset(f"{info.filename} is not a regular file")
    if info.flag_bits & 0x1:
        raise InvalidDataset(f"{info.filename} is encrypted")
    unsafe = path.is_absolute() or ".." in path.parts or "\\" in info.filename
    if unsafe or not path.parts or not info.filename.isprintable():
        raise InvalidDataset(f"{info.filename!r} is not a safe name")
    return path


def _is_litter(path: PurePosixPath) -> bool:
    return path.parts[0] == "__MACOSX" or path.name in (".DS_Store", "Thumbs.db", "desktop.ini")
