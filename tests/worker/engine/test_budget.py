"""How much memory there is, told by control groups of both versions."""

import os
from pathlib import Path

import pytest

from worker.engine.data.budget import memory_limit_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
V1, V2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"


def root(folder: Path, groups: str, limits: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": groups, **limits}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {f"{V2}/memory.max": "1048576\n"}, 1048576),
        ("0::/\n", {f"{V2}/memory.max": "max\n"}, MACHINE),
        ("0::/a/b\n", {f"{V2}/a/b/memory.max": "max\n", f"{V2}/a/memory.max": "4096\n"}, 4096),
        ("0::/a\n", {f"{V2}/a/memory.max": "8192\n", f"{V2}/memory.max": "4096\n"}, 4096),
        ("9:memory:/a\n", {f"{V1}/a/memory.limit_in_bytes": "4096\n"}, 4096),
        ("9:cpu,memory:/on/the/host\n", {f"{V1}/memory.limit_in_bytes": "4096\n"}, 4096),
        ("9:memory:/\n", {f"{V1}/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("3:cpu:/\n0::/\n", {}, MACHINE),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    assert memory_limit_bytes(root(tmp_path, groups, limits)) == expected


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path) == MACHINE


def test_here_it_is_at_most_the_machines() -> None:
    assert 0 < memory_limit_bytes() <= MACHINE
