"""Sources: folders and buckets that the operator declared, from which data may be registered.

A caller names a source and a path within it, never an address; what lies outside the root cannot
be named.

SourceError
├── SourceNotFound      no regular file of that path lies within the source
├── SourceUnavailable   the disk or the S3 service does not answer, or refuses us
└── SourceTooLarge      no room for a copy
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from re import fullmatch
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit

from service.blobs import S3Options
from service.contract.job_errors import JobErrorCode

NAME: Final = r"[a-z][a-z0-9_-]{0,62}"
_CHUNK: Final = 1 << 20
_SPARE: Final = 256 << 20  # left for everything else that writes to the disk
_WANT: Final = "want name=file:///folder or name=s3://bucket/prefix, with commas between"


class SourceError(Exception):
    """A file of a source could not be copied; `code` is what a rejected dataset shows."""

    code: ClassVar[JobErrorCode]


class SourceNotFound(SourceError):
    code = "source_not_found"


class SourceUnavailable(SourceError):
    code = "source_unavailable"


class SourceTooLarge(SourceError):
    code = "disk_full"


@dataclass(frozen=True)
class Copied:
    """SHA-256 in hex and size of what was copied."""

    sha256: str
    bytes: int


def parse_sources(text: str) -> dict[str, str]:
    """URLs by name, from `name=url,name=url`. Commas within a URL are written %2C."""
    sources: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, equals, url = item.partition("=")
        if not equals or not fullmatch(NAME, name):
            raise ValueError(f"{_WANT}; got {item!r}")
        if name in sources:
            raise ValueError(f"the source {name!r} is declared twice")
        _check_url(url)
        sources[name] = url
    return sources


def check_path(path: str) -> None:
    """ValueError unless it can name a file within a source: relative, without `..`."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or not path.isprintable():
        raise ValueError("a path within a source is relative, with single slashes and without `..`")


def copy_file(
    sources: Mapping[str, str], name: str, path: str, target: Path, s3: S3Options
) -> Copied:
    """Copy the file that `path` names within the source to `target`, with flat memory.

    Raises SourceError; what was written until then stays at `target`.
    """
    if name not in sources:
        raise SourceNotFound(f"this worker knows no source {name!r}")
    try:
        check_path(path)
    except ValueError as error:
        raise SourceNotFound(str(error)) from error
    parts = urlsplit(sources[name])
    root = unquote(parts.path)
    with _disk_errors():
        if parts.scheme == "file":
            return _copy_local(Path(root), path, target)
        return _copy_s3(parts.netloc, root, path, target, s3)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    is_bucket = parts.scheme == "s3" and bool(parts.netloc)
    if not (is_folder or is_bucket) or parts.query or parts.fragment:
        raise ValueError(f"{_WANT}; got {url!r}")
    if ".." in PurePosixPath(unquote(parts.path)).parts:
        raise ValueError(f"a root has no `..`; got {url!r}")


def _copy_local(root: Path, path: str, target: Path) -> Copied:
    try:
        real_root = root.resolve(strict=True)
        # Links are followed, but only to what lies within the root.
        real = (real_root / path).resolve(strict=True)
        # O_NONBLOCK: opening a pipe would wait for its writer.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError, RuntimeError) as error:  # the last: a loop
        raise SourceNotFound(f"the source has no file {path!r}") from error
    try:
        # Where it was found in the end, whatever was renamed or linked meanwhile.
        opened = Path(f"/proc/self/fd/{descriptor}").readlink()
        status = os.fstat(descriptor)
        if not opened.is_relative_to(real_root) or not stat.S_ISREG(status.st_mode):
            raise SourceNotFound(f"the source has no file {path!r}")
        chunks = iter(lambda: os.read(descriptor, _CHUNK), b"")
        return _write(chunks, status.st_size, target)
    finally:
        os.close(descriptor)


def _copy_s3(bucket: str, prefix: str, path: str, target: Path, s3: S3Options) -> Copied:
    # Here, so that sources in folders need no obstore.
    import obstore
    from obstore.exceptions import BaseError

    from service.blobs.s3 import S3Location

    location = S3Location.resolve(
        bucket, prefix, endpoint=s3.endpoint, region=s3.region, keys=s3.keys
    )
    try:
        found = obstore.get(location.store(s3.timeout_s), path)
        chunks = (bytes(chunk) for chunk in found.stream(min_chunk_size=_CHUNK))
        return _write(chunks, found.meta["size"], target)
    except (FileNotFoundError, BaseError) as error:
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise SourceNotFound(f"the source has no file {path!r}") from error
        # The first line names the request and the status; the rest is the library's own state.
        raise SourceUnavailable(str(error).partition("\n")[0]) from error


def _write(chunks: Iterable[bytes], size: int, target: Path) -> Copied:
    if size + _SPARE > shutil.disk_usage(target.parent).free:
        raise SourceTooLarge(f"there is no room for a copy of {size} bytes")
    digest = hashlib.sha256()
    written = 0
    with target.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            written += file.write(chunk)
    return Copied(digest.hexdigest(), written)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceTooLarge("there is no room for a copy") from error
        raise SourceUnavailable(error.strerror or str(error)) from error
