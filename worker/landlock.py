"""The files that a child may reach, kept by the kernel (Landlock, Linux 5.19 and later).

It writes to its own folder and to devices, and reads programs and libraries besides. The database
file, blobs, the key of the data folder, other jobs' folders and other users' homes are out of
reach, and so is the environment of its worker: a confined process without capabilities may not look
into one that is not confined.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from worker import linux

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_FIRST: Final = (1 << 13) - 1  # the rights of the first version, making and removing among them
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_IOCTL_DEV: Final = 1 << 15
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_ABSTRACT_SOCKETS: Final = 1 << 0
_SIGNALS: Final = 1 << 1

_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_OLDEST: Final = 2  # the first version lets no file move from one folder to another
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys")
SHARED_FILES: Final = ("device.gate", "device.lock")  # of `worker.device_lock`, beside the folder


def confine(shared: Iterable[Path], environment: Mapping[str, str], version: int) -> None:
    """Confines this process and its descendants, for good, to the working directory and what it
    takes to run. It needs `no_new_privileges`. `shared` are files outside that it may write.

    `version` is the kernel's; OSError where it is too old.
    """
    if version < _OLDEST:
        raise OSError(f"Landlock {version} is too old: Linux 5.19 has 2")
    handled = _handled(version)
    scoped = _ABSTRACT_SOCKETS | _SIGNALS if version >= 6 else 0
    ruleset = linux.landlock_ruleset(handled, scoped, version)
    try:
        _allow(ruleset, Path(), handled)  # by this name it can be reached after a change of user
        _allow(ruleset, Path("/dev"), handled & (_READ | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV))
        _allow(ruleset, Path("/dev/shm"), handled)  # noqa: S108  # semaphores of loaders
        for path in shared:
            _allow(ruleset, path, handled & (_READ_FILE | _WRITE_FILE | _TRUNCATE))
        for path in _libraries(environment):
            _allow(ruleset, path, _READ)
        linux.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _handled(version: int) -> int:
    rights = _FIRST | _REFER
    if version >= 3:
        rights |= _TRUNCATE
    if version >= 5:
        rights |= _IOCTL_DEV
    return rights


def _libraries(environment: Mapping[str, str]) -> set[Path]:
    """Where programs and libraries lie. Our own code may lie outside of Python's folders."""
    named = [environment.get(name, "") for name in ("CUDA_HOME", "LD_LIBRARY_PATH", "PATH")]
    folders = [folder for text in named for folder in text.split(":")]
    ours = str(Path(__file__).resolve().parents[1])
    every = [*_SYSTEM, *folders, *sys.path, sys.prefix, sys.base_prefix, ours]
    return {Path(path) for path in every if path.startswith("/")}


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Nothing is allowed of what is not there, or cannot be reached anyway."""
    with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                rights &= _OF_FILES
            linux.landlock_allow(ruleset, fd, rights)
        finally:
            os.close(fd)
