"""Sends nudges from a thread of its own, so that no request and no worker waits for the broker."""

import contextlib
import logging
import queue
import threading
from typing import Final, Protocol

from service.queue import QueueUnavailable

log = logging.getLogger(__name__)

_CAPACITY: Final = 10_000  # more than that while the broker is away: the sweep will find them


class Nudges(Protocol):
    """What sends a nudge: `JobQueue`, or a double of it."""

    def nudge(self, queue: str, job_id: str) -> None:
        """Wake one worker of `queue`. Raises QueueUnavailable."""


class Relay:
    """A bounded buffer before the broker."""

    def __init__(self, jobs: Nudges) -> None:
        self._jobs = jobs
        self._pending: queue.Queue[tuple[str, str] | None] = queue.Queue(_CAPACITY)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def nudge(self, queue_name: str, job_id: str) -> None:
        """Returns at once. What does not fit is dropped: the sweep finds the row."""
        try:
            self._pending.put_nowait((queue_name, job_id))
        except queue.Full:
            log.warning("relay is full; the sweep will nudge %s", job_id)

    def close(self) -> None:
        """Stop, without waiting for a broker that hangs. What was not sent, the sweep sends."""
        self._closed.set()
        with contextlib.suppress(queue.Full):  # then the thread looks at the flag soon enough
            self._pending.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            item = self._pending.get()
            if item is None:
                return
            try:
                self._jobs.nudge(*item)
            except QueueUnavailable as error:
                log.warning("broker unavailable (%s); the sweep will nudge %s", error, item[1])
