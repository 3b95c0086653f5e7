"""Temporary files and digests, the same for every backend."""

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.blobs.errors import DigestMismatch, disk_errors
from service.blobs.store import CHUNK_BYTES, Blob


@dataclass(frozen=True, slots=True)
class StagingFolder:
    """A folder of files that are being written; made when first needed."""

    path: Path

    @contextmanager
    def file(self) -> Iterator[Path]:
        with disk_errors():
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self.path)
            os.close(descriptor)
            path = Path(name)
            try:
                yield path
            finally:
                path.unlink(missing_ok=True)

    def discard_abandoned(self, older_than_s: float) -> int:
        """Remove files untouched for so long; returns how many."""
        oldest = time.time() - older_than_s
        discarded = 0
        for path in self.path.iterdir() if self.path.exists() else ():
            try:
                if path.is_file() and path.lstat().st_mtime <= oldest:
                    path.unlink()
                    discarded += 1
            except FileNotFoundError:
                continue  # its writer finished, or another process cleans too
        return discarded


def open_regular(path: Path) -> int:
    """A descriptor for reading. ValueError unless `path` itself is a regular file: whoever made
    the file must not be able to have us read another one.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"not a regular file: {path.name}")
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def digest_file(descriptor: int, promised: str | None) -> Blob:
    """Read a descriptor to its end. DigestMismatch if it was promised to be something else."""
    digest = hashlib.sha256()
    size = 0
    while chunk := os.read(descriptor, CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    blob = Blob(digest.hexdigest(), size)
    if promised is not None and blob.sha256 != promised:
        raise DigestMismatch(expected=promised, actual=blob.sha256)
    return blob


def write_verified(chunks: Iterable[bytes], sha256: str, path: Path) -> None:
    """Write beside `path`, verify, then rename over it; DigestMismatch leaves `path` as it was."""
    digest = hashlib.sha256()
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with disk_errors(), partial.open("wb") as target:
            for chunk in chunks:
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != sha256:
            raise DigestMismatch(expected=sha256, actual=digest.hexdigest())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
