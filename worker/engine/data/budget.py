"""How much memory this process may fill."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/")


def memory_limit_bytes(root: Path = _ROOT) -> int:
    """The machine's memory, or the tightest limit of the control groups that hold this process."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits(root)])


def _group_limits(root: Path) -> Iterator[int]:
    for file in _limit_files(root):
        # A group without a limit says "max" (version 2), or a number beyond any memory (1).
        with contextlib.suppress(OSError, ValueError):
            yield int(file.read_text())


def _limit_files(root: Path) -> Iterator[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            base, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # A limit binds all groups below. In a container the path may be that of the host, of
        # which only the last level is in sight, as the root.
        path = PurePosixPath(group)
        for level in (path, *path.parents):
            yield base / level.relative_to("/") / name
