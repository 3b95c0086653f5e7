"""Checkpoints: complete on disk or not there, verified when read, the newest two kept.

A file is what `torch.save` writes, followed by "sha256:" and the digest of all bytes before it.
torch's zip reader looks for its directory from the end and tolerates the trailer.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

import torch
from torch import Tensor

from worker.engine.errors import DiskFull, InvalidCheckpoint

KEEP: Final = 2
_PREFIX: Final = "step-"
_SUFFIX: Final = ".ckpt"
_MARK: Final = b"sha256:"
_TRAILER: Final = len(_MARK) + 64
_CHUNK: Final = 1 << 20
# What torch.save adds to the bytes of the tensors: zip records and the pickled structure.
_OVERHEAD: Final = 256 * 1024
_PER_TENSOR: Final = 512


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of `step` lives; names sort by step."""
    return folder / f"{_PREFIX}{step:010d}{_SUFFIX}"


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` (tensors and plain values) so that `path` is whole or as it was before.

    Then removes all but the newest two checkpoints of the folder. Raises `DiskFull`, leaving
    nothing behind, when the space cannot be had.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _disk_errors(path.parent), temporary.open("wb") as file:
            _reserve(file, _estimate(state))
            writer = _HashingWriter(file)
            torch.save(dict(state), cast(IO[bytes], writer))  # it only writes and flushes
            file.write(_MARK + writer.digest.hexdigest().encode())
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    for old in list_checkpoints(path.parent)[KEEP:]:
        old.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """Read one checkpoint onto the CPU. Raises `InvalidCheckpoint` if a bit of it is wrong."""
    try:
        _verify(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except InvalidCheckpoint:
        raise
    except Exception as error:  # torch.load documents no closed set of errors
        raise InvalidCheckpoint(f"cannot read {path.name}: {type(error).__name__}") from error
    if not isinstance(state, dict):
        raise InvalidCheckpoint(f"{path.name} does not hold a training state")
    return state


def load_newest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The newest checkpoint that verifies; a damaged one is passed over for the one before."""
    reasons = []
    for path in list_checkpoints(folder):
        try:
            return path, load(path)
        except InvalidCheckpoint as error:
            reasons.append(str(error))
    raise InvalidCheckpoint("; ".join(reasons) or "there is no checkpoint")


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, newest first; empty if the folder does not exist."""
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"), reverse=True)


class _HashingWriter:
    """What torch.save needs of a file, hashing on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        # On a full disk torch raises a RuntimeError that says nothing of the disk.
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or shutil.disk_usage(folder).free < _OVERHEAD:
            raise DiskFull("no space left for a checkpoint") from error
        raise


def _reserve(file: IO[bytes], size: int) -> None:
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        # A file system without allocation: what it says is free is the best answer there is.
        stats = os.fstatvfs(file.fileno())
        if stats.f_bavail * stats.f_frsize < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def _estimate(value: object) -> int:
    return _OVERHEAD + sum(t.untyped_storage().nbytes() + _PER_TENSOR for t in _tensors(value))


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _verify(path: Path) -> None:
    remaining = path.stat().st_size - _TRAILER
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while remaining > 0:
            chunk = file.read(min(_CHUNK, remaining))
            digest.update(chunk)
            remaining -= len(chunk)
        trailer = file.read()
    if trailer != _MARK + digest.hexdigest().encode():
        raise InvalidCheckpoint(f"{path.name} is damaged: its digest does not match")


def _sync_folder(folder: Path) -> None:
    # The rename survives a power cut only once the folder itself is on disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
