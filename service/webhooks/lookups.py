"""Names, looked up with an end to how long that may take."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from service.webhooks.target import NotFound, Resolve

_MOST: Final = 32


class Lookups:
    """Asks `resolve` in a thread of its own, since the system's resolver cannot be told to stop.

    One that nobody waits for any more runs on until its name server answers or the system gives
    up; of those and the others there are `most` at once.
    """

    def __init__(self, resolve: Resolve, most: int = _MOST) -> None:
        self._resolve = resolve
        self._free = threading.BoundedSemaphore(most)

    def ask(self, host: str, port: int, timeout_s: float) -> Sequence[str]:
        """Raises what `resolve` raises, and NotFound where it takes longer or too many wait."""
        if not self._free.acquire(blocking=False):
            raise NotFound(f"{host} was not looked up: the name servers are slow")
        told: Future[Sequence[str]] = Future()
        thread = threading.Thread(target=self._ask, args=(host, port, told), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._free.release()
            raise
        try:
            return told.result(timeout_s)
        except TimeoutError as error:
            raise NotFound(f"{host} was not looked up in time") from error

    def _ask(self, host: str, port: int, told: Future[Sequence[str]]) -> None:
        try:
            found = self._resolve(host, port)
        except Exception as error:  # whoever asked sees it
            told.set_exception(error)
        else:
            told.set_result(found)
        finally:
            self._free.release()
