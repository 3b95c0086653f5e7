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
    """The threads."""

    def __init__(self, name: str, do_one: Callable[[], bool], threads: int) -> None:
        """`do_one` says whether it did something: then it is asked again at once."""
        self.stopping = threading.Event()
        self._name = name
        self._do_one = do_one
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin, with a first look at once."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop. What is under way is waited for a little; left behind, it is done again later."""
        self.stopping.set()
        until = time.monotonic() + 5.0
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while not self.stopping.is_set():
            found = False
            try:
                found = self._do_one()
            except DatabaseUnavailable as error:
                log.warning("%s: the database does not answer (%s)", self._name, error)
            except Exception:  # a thread that dies would leave the rest undone
                log.exception("%s failed", self._name)
            if not found:
                self.stopping.wait(_LOOK_S)
