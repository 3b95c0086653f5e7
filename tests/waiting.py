"""Waiting on a condition instead of sleeping for a guess."""

import threading
import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], within_s: float, what: str) -> None:
    """Look again and again; fail when `within_s` seconds have passed."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        pause.wait(0.02)
