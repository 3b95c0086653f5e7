"""Being told to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never

_STOPPING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stops_like_ctrl_c() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP raise `KeyboardInterrupt`, so that there is one way to stop."""

    def interrupt(number: int, frame: FrameType | None) -> Never:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
