"""That a worker shall end, and how long ago it was told."""

import threading
import time


class Drain(threading.Event):
    """Set: nothing new is begun. One grace for all that is under way, however many waits follow
    each other: a worker ends within it, a moment more for what cannot be cut off."""

    def __init__(self, grace_s: float) -> None:
        super().__init__()
        self.grace_s = grace_s
        self._deadline = 0.0

    def set(self) -> None:
        """Begin to drain. Doing so again changes nothing."""
        if not self.is_set():
            self._deadline = time.monotonic() + self.grace_s
        super().set()

    def is_over(self) -> bool:
        """Whether it was begun, and the grace has passed."""
        return self.is_set() and time.monotonic() > self._deadline
