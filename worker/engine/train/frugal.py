"""Memory on a processor given back as soon as it is free."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

# Of glibc's mallopt, and the environment's names for them.
_OPTIONS: Final = {-1: "MALLOC_TRIM_THRESHOLD_", -3: "MALLOC_MMAP_THRESHOLD_"}
_DEFAULT: Final = 128 * 1024  # bytes, glibc's own


@contextmanager
def frugal() -> Iterator[None]:
    """Within, glibc's malloc gives back what is freed, which an engine child's keeps for speed.

    Kept memory is cut into pieces: with activation checkpointing a training peaked as high as
    without, where it needs half. Elsewhere than on glibc it changes nothing.
    """
    mallopt = _mallopt()
    for option in _OPTIONS:
        mallopt(option, _DEFAULT)
    try:
        yield
    finally:
        for option, name in _OPTIONS.items():
            if os.environ.get(name, "").isdecimal():
                mallopt(option, int(os.environ[name]))


def _mallopt() -> Callable[[int, int], object]:
    try:
        found: Callable[[int, int], object] = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return lambda option, value: None
    return found
