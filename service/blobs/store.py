"""The seam: what every blob store can do, and the values that cross it."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

CHUNK_BYTES: Final = 1 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Stored bytes: their SHA-256 in lower-case hex, and how many there are."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A blob as found in the store; `modified_at` (UTC) is when it was last put."""

    sha256: str
    bytes: int
    modified_at: datetime


def blob_key(sha256: str) -> str:
    """Where a blob lies below the store's root. ValueError unless it is 64 lower-case hex digits,
    so no name from outside reaches a path.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def is_blob_key(key: str) -> bool:
    name = key.rpartition("/")[2]
    return bool(_SHA256.fullmatch(name)) and key == blob_key(name)


def clip_range(start: int, end: int | None, size: int) -> tuple[int, int]:
    """The part of [start, end) that exists in `size` bytes. ValueError if it runs backwards."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"range must satisfy 0 <= start <= end, got [{start}, {end})")
    return min(start, size), size if end is None else min(end, size)


class BlobStore(Protocol):
    """Immutable bytes named by their SHA-256. Safe to use from many threads and processes.

    A blob is readable whole or not at all. Putting the same bytes twice, also at once, stores them
    once and renews `modified_at`: a collector that spares young blobs never takes one that was
    just put again. Every method may raise StorageUnavailable within bounded time; those that write
    may raise StorageFull.
    """

    def staging_file(self) -> AbstractContextManager[Path]:
        """An empty file to write, from which `put_file` stores cheapest; removed on exit if it is
        still there. A full disk met inside the block leaves it as StorageFull.
        """
        ...

    def discard_abandoned(self, older_than_s: float) -> int:
        """Remove what killed writers left, untouched for so long. Returns how many files."""
        ...

    def put_file(self, path: Path, sha256: str | None = None) -> Blob:
        """Store a file and take it: `path` is gone afterwards, and durable storage has the bytes.

        With `sha256`, DigestMismatch unless the content has it. ValueError if `path` is a link or
        no regular file. After an error the file is still the caller's. Nobody may write to it
        meanwhile.
        """
        ...

    def put_bytes(self, data: bytes) -> Blob:
        """Store a small value that is already in memory."""
        ...

    def open(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes [start, end) in chunks of at most 1 MiB; a range past the end is cut to fit.

        Raises BlobNotFound and ValueError here, not at the first chunk.
        """
        ...

    def size(self, sha256: str) -> int:
        """In bytes; BlobNotFound if absent."""
        ...

    def exists(self, sha256: str) -> bool: ...

    def fetch(self, sha256: str, path: Path) -> None:
        """Copy to `path`, which is replaced only after the digest was verified.

        A copy and never a link, so whoever gets the file may write to it. BlobNotFound,
        DigestMismatch (the stored bytes rotted); then `path` is as it was.
        """
        ...

    def delete(self, sha256: str) -> None:
        """Remove; nothing happens if it is not there. Readers that have it open finish."""
        ...

    def delete_older(self, sha256: str, before: datetime) -> bool:
        """Remove unless it was put, or put again, since `before`. False: it was, or is not there.

        In a local store no put comes between the look and the removal. S3 has no such thing: a put
        that ends in the milliseconds between the two requests is lost, and only if it is of bytes
        that had been there unnamed for long.
        """
        ...

    def list(self) -> Iterator[BlobInfo]:
        """Every blob, in no promised order; those put or deleted meanwhile may be missed."""
        ...

    def url(self, sha256: str, filename: str, content_type: str, expires_s: int) -> str | None:
        """Where a client without credentials can download it under `filename` for `expires_s`
        seconds, or None where bytes must pass through us. Does not look whether it exists.
        """
        ...

    def check(self) -> None:
        """StorageUnavailable unless the store can be used now: for readiness probes."""
        ...
