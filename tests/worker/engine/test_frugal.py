"""Memory is given back while activations are computed twice to save it."""

import ctypes
import subprocess
import sys

import pytest

from worker.engine.train import frugal

# A megabyte lies in the heap of a process that keeps memory, and in a mapping of its own elsewhere.
PROGRAM = """
import ctypes
from contextlib import nullcontext
from worker.engine.train.frugal import frugal
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
def is_mapped():
    address = libc.malloc(1 << 20)
    # glibc marks a chunk that has a mapping of its own in its header's second bit.
    return bool(ctypes.c_size_t.from_address(address - 8).value & 2)
print(is_mapped())
with frugal():
    print(is_mapped())
print(is_mapped())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_memory_is_given_back_within_and_kept_again_after() -> None:
    kept = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "False"]


def test_where_malloc_takes_no_options_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str | None) -> None:
        raise OSError("not here")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    with frugal.frugal():
        pass
