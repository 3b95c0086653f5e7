"""Bytes named by their SHA-256: `open_blobs(url, staging)` gives the store that a URL names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from service.blobs.errors import (
    BlobError,
    BlobNotFound,
    DigestMismatch,
    StorageFull,
    StorageUnavailable,
)
from service.blobs.local import LocalBlobs
from service.blobs.presign import S3Keys, attachment
from service.blobs.store import Blob, BlobInfo, BlobStore

__all__ = [
    "BLOB_SCHEMES",
    "Blob",
    "BlobError",
    "BlobInfo",
    "BlobNotFound",
    "BlobStore",
    "DigestMismatch",
    "S3Keys",
    "S3Options",
    "StorageFull",
    "StorageUnavailable",
    "attachment",
    "open_blobs",
]


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach S3. What is None comes from the standard AWS variables of the environment, the
    keys at last from the role of the machine. `timeout_s` bounds connecting and each read.
    """

    endpoint: str | None = None
    region: str | None = None
    keys: S3Keys | None = None
    timeout_s: float = 15.0


def open_blobs(url: str, staging: Path, *, s3: S3Options | None = None) -> BlobStore:
    """The store at `file:///absolute/folder` or `s3://bucket/prefix`.

    `staging` is a folder for files on their way in, best on the file system of a local store. No
    request is made: a store that is down shows at first use, or by `check()`. ValueError for a URL
    that names no store.
    """
    parts = urlsplit(url)
    if parts.scheme not in BLOB_SCHEMES:
        known = " or ".join(f"{scheme}://" for scheme in BLOB_SCHEMES)
        raise ValueError(f"a blob store's URL starts with {known}, got {url!r}")
    return BLOB_SCHEMES[parts.scheme](parts, staging, s3 or S3Options())


def _local(parts: SplitResult, staging: Path, s3: S3Options) -> BlobStore:
    folder = Path(unquote(parts.path))
    if parts.netloc or not folder.is_absolute():
        raise ValueError(f"want file:///absolute/folder, got {parts.geturl()!r}")
    return LocalBlobs(folder, staging)


def _s3(parts: SplitResult, staging: Path, s3: S3Options) -> BlobStore:
    # Here, so that a local store needs neither obstore installed nor its memory.
    from service.blobs.s3 import S3Blobs, S3Location

    if not parts.netloc:
        raise ValueError(f"want s3://bucket/prefix, got {parts.geturl()!r}")
    location = S3Location.resolve(
        parts.netloc,
        unquote(parts.path),
        endpoint=s3.endpoint,
        region=s3.region,
        keys=s3.keys,
    )
    return S3Blobs(location, staging, timeout_s=s3.timeout_s)


BLOB_SCHEMES: Final[dict[str, Callable[[SplitResult, Path, S3Options], BlobStore]]] = {
    "file": _local,
    "s3": _s3,
}
