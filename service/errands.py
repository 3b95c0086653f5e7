"""Threads that do what is due, one thing after the other, and outlive whatever goes wrong."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from service.store.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


class Errands:
    """The threads. `stopping` is set once they shall end; long work looks at it."""

    def __init__(
        self,
        name: str,
        do_one: Callable[[], bool],
        *,
        threads: int = 1,
        pause_s: float = _LOOK_S,
        waits_first: bool = False,
        unavailable: tuple[type[Exception], ...] = (),
    ) -> None:
        """`do_one` says whether it did something: then it is asked again at once, else after
        `pause_s` seconds; `waits_first`: they pass before the first time too. What is
        `unavailable` besides the database is worth a warning, and no traceback."""
        self.stopping = threading.Event()
        self._name = name
        self._do_one = do_one
        self._pause_s = pause_s
        self._waits_first = waits_first
        self._unavailable: tuple[type[Exception], ...] = (DatabaseUnavailable, *unavailable)
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop. What is under way is waited for a little; left behind, it is done again later."""
        self.stopping.set()
        until = time.monotonic() + 5.0
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=max(0.0, until - time.monotonic()))

    def do_once(self) -> bool:
        """In the caller's thread; whatever goes wrong is logged."""
        try:
            return self._do_one()
        except self._unavailable as error:
            log.warning("%s: what it needs does not answer (%s)", self._name, error)
        except Exception:  # a thread that dies would leave the rest undone
            log.exception("%s failed", self._name)
        return False

    def _run(self) -> None:
        if self._waits_first:
            self.stopping.wait(self._pause_s)
        while not self.stopping.is_set():
            if not self.do_once():
                self.stopping.wait(self._pause_s)
