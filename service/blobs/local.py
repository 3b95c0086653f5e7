"""Blobs in a folder, shared by processes on one machine or over a network file system."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from errno import EXDEV
from pathlib import Path
from typing import Final

from service.blobs.errors import BlobNotFound, StorageUnavailable, disk_errors
from service.blobs.staging import StagingFolder, digest_file, open_regular, write_verified
from service.blobs.store import CHUNK_BYTES, Blob, BlobInfo, blob_key, clip_range, is_blob_key

_READ_ONLY: Final = 0o440  # blobs never change; the group may be another service's
_LOCK: Final = ".lock"
_INCOMING: Final = ".incoming"  # on the blobs' file system, for files that come from another one


class LocalBlobs:
    """Blobs below `root`, which is made if absent. See BlobStore for what the methods promise.

    A put syncs the file, renames it into place and syncs the folders above it: after a crash a
    blob is there whole or not at all. The rename is free when `staging` lies on root's file system.
    """

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = StagingFolder(staging)
        self._incoming = StagingFolder(root / _INCOMING)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def staging_file(self) -> AbstractContextManager[Path]:
        return self._staging.file()

    def discard_abandoned(self, older_than_s: float) -> int:
        folders = (self._staging, self._incoming)
        return sum(folder.discard_abandoned(older_than_s) for folder in folders)

    def put_file(self, path: Path, sha256: str | None = None) -> Blob:
        with disk_errors():
            descriptor = open_regular(path)
            try:
                blob = digest_file(descriptor, sha256)
                # Another name of the file would let its owner change the blob: store a copy.
                shared = os.fstat(descriptor).st_nlink > 1
                if shared or not self._adopt(path, descriptor, blob):
                    self._copy_in(path, blob)
            finally:
                os.close(descriptor)
            path.unlink(missing_ok=True)
        return blob

    def put_bytes(self, data: bytes) -> Blob:
        with self._incoming.file() as path:
            path.write_bytes(data)
            return self.put_file(path)

    def _adopt(self, path: Path, descriptor: int, blob: Blob) -> bool:
        """Sync and rename into place; False if `path` is on another file system."""
        target = self._path(blob.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.fchmod(descriptor, _READ_ONLY)
        os.fsync(descriptor)
        with self._held(fcntl.LOCK_SH):
            os.utime(descriptor)  # the age that garbage collection sees counts from the put
            try:
                path.rename(target)
            except OSError as error:
                if error.errno == EXDEV:
                    return False
                raise
        for folder in (target.parent, target.parent.parent, self._root):
            _sync_folder(folder)
        return True

    def _copy_in(self, path: Path, blob: Blob) -> None:
        with self._incoming.file() as copy:
            shutil.copyfile(path, copy, follow_symlinks=False)
            descriptor = open_regular(copy)
            try:
                digest_file(descriptor, blob.sha256)
                adopted = self._adopt(copy, descriptor, blob)
            finally:
                os.close(descriptor)
        assert adopted, "the incoming folder lies on root's file system"

    def open(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        first, last = clip_range(start, end, self.size(sha256))
        return self._read(sha256, first, last)

    def _read(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        try:
            source = self._path(sha256).open("rb", buffering=0)
        except FileNotFoundError:
            raise BlobNotFound(sha256) from None
        with disk_errors(), source:
            source.seek(start)
            while start < end and (chunk := source.read(min(CHUNK_BYTES, end - start))):
                start += len(chunk)
                yield chunk

    def size(self, sha256: str) -> int:
        try:
            with disk_errors():
                return self._path(sha256).stat().st_size
        except FileNotFoundError:
            raise BlobNotFound(sha256) from None

    def exists(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def fetch(self, sha256: str, path: Path) -> None:
        write_verified(self.open(sha256), sha256, path)

    def delete(self, sha256: str) -> None:
        with disk_errors():
            self._path(sha256).unlink(missing_ok=True)

    def delete_older(self, sha256: str, before: datetime) -> bool:
        path = self._path(sha256)
        with disk_errors(), self._held(fcntl.LOCK_EX):
            try:
                if path.stat().st_mtime >= before.timestamp():
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def _held(self, how: int) -> Iterator[None]:
        """Puts share the lock and a deletion has it alone, each for the moment of its rename; the
        kernel frees what a process held when it dies."""
        descriptor = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def list(self) -> Iterator[BlobInfo]:
        for path in self._root.glob("??/??/*"):
            if not is_blob_key(path.relative_to(self._root).as_posix()):
                continue
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # deleted while we walked
            modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
            yield BlobInfo(path.name, found.st_size, modified_at)

    def url(self, sha256: str, filename: str, content_type: str, expires_s: int) -> str | None:
        return None

    def check(self) -> None:
        if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise StorageUnavailable("the blob folder is missing or not writable")

    def _path(self, sha256: str) -> Path:
        return self._root / blob_key(sha256)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
