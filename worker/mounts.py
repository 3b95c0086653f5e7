"""Lets a process that is about to drop root reach what lies below folders that only root enters.

A data folder is private, and Python may live in root's home. In a mount namespace of the process's
own, each closed folder on the way is replaced by an empty one that anybody may enter, holding the
needed folders alone: all else that was in it is out of sight as well.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from worker import linux


def make_reachable(needed: Iterable[Path]) -> None:
    """For root, in a process with one thread. Paths that do not exist are none of its business.

    Raises OSError where the kernel refuses; what was reachable before still is.
    """
    paths = sorted({given for path in needed for given in (path, path.resolve())})
    paths = [path for path in paths if path.is_absolute() and path.is_dir()]
    if _closed_above(paths) is None:
        return
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE, None)
    umask = os.umask(0o022)
    try:
        while (closed := _closed_above(paths)) is not None:
            _replace(closed, [path for path in paths if path.is_relative_to(closed)])
    finally:
        os.umask(umask)


def _closed_above(paths: Sequence[Path]) -> Path | None:
    """The first folder on the way to one of them that others may not pass through."""
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                return folder
    return None


def _replace(closed: Path, needed: Sequence[Path]) -> None:
    outermost = [path for path in needed if not any(other in path.parents for other in needed)]
    held = {path: os.open(path, os.O_PATH) for path in outermost}
    try:
        flags = linux.MS_NOSUID | linux.MS_NODEV
        linux.mount("none", str(closed), "tmpfs", flags, "mode=755,size=1m")
        for path, fd in held.items():
            path.mkdir(parents=True, exist_ok=True)
            linux.mount(f"/proc/self/fd/{fd}", str(path), None, linux.MS_BIND | linux.MS_REC, None)
    finally:
        for fd in held.values():
            os.close(fd)
