"""As many jobs at once as the worker has slots, however many nudges come."""

import threading
from collections.abc import Callable


class Slots:
    """Turns nudges into work. A nudge that finds every slot taken is not lost: a slot that runs
    out of work looks once more if a nudge came meanwhile."""

    def __init__(self, count: int, run_one: Callable[[], bool]) -> None:
        self._free = threading.Semaphore(count)
        self._run_one = run_one
        self._nudged = threading.Event()

    def nudge(self) -> None:
        """Run until nothing is left, on this thread; return at once if every slot is taken."""
        self._nudged.set()
        while self._nudged.is_set() and self._free.acquire(blocking=False):
            try:
                self._nudged.clear()
                while self._run_one():
                    pass
            finally:
                self._free.release()
