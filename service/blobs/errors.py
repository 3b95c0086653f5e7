"""What can go wrong with bytes.

BlobError
├── BlobNotFound          no bytes of that digest are stored
├── DigestMismatch        the bytes are not the ones that were promised
├── StorageFull           no room left; nothing of the write remains
└── StorageUnavailable    the disk or the S3 service does not answer, or refuses us; try later
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_UNAVAILABLE: Final = {errno.EIO, errno.EROFS, errno.ESTALE, errno.ENXIO}


class BlobError(Exception):
    """Any failure of a blob store."""


class BlobNotFound(BlobError):
    def __init__(self, sha256: str) -> None:
        super().__init__(f"no blob {sha256}")
        self.sha256 = sha256


class DigestMismatch(BlobError):
    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(f"expected SHA-256 {expected}, got {actual}")
        self.expected = expected
        self.actual = actual


class StorageFull(BlobError):
    """The disk or the quota is exhausted."""


class StorageUnavailable(BlobError):
    """The storage cannot be reached, is misconfigured or fails to read or write."""


@contextmanager
def disk_errors() -> Iterator[None]:
    """Tell a full disk and a failing one apart from every other OSError, which passes through."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(error.strerror) from error
        if error.errno in _UNAVAILABLE:
            raise StorageUnavailable(error.strerror) from error
        raise
