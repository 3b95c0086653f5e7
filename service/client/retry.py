"""When to try again, and how long to wait before it."""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2


@dataclass(frozen=True)
class Retry:
    """How stubborn a client is.

    `tries` counts the first one. Pauses double from `first_s` up to `longest_s`, each shortened by
    chance so that clients do not return in step; a Retry-After of up to `patience_s` is obeyed
    instead, a longer one ends the tries. A stream that is heard for `healthy_s` works, though
    nothing happens on it: a job may be queued for hours behind a proxy that cuts every stream
    after a minute.
    """

    tries: int = 4
    first_s: float = 0.2
    longest_s: float = 5.0
    patience_s: float = 60.0
    healthy_s: float = 10.0


class Tries:
    """Counts failures in a row and pauses between them."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failed = 0

    def heard_for(self, seconds: float) -> None:
        """A stream has brought something, be it only a heartbeat, so long after it began."""
        if seconds >= self._retry.healthy_s:
            self.progressed()

    def again(self, after_s: float | None = None) -> bool:
        """Record a failure and pause. False, at once, when there have been enough."""
        self._failed += 1
        if self._failed >= self._retry.tries or (after_s or 0.0) > self._retry.patience_s:
            return False
        if after_s is None:
            longest = min(self._retry.longest_s, self._retry.first_s * 2 ** (self._failed - 1))
            after_s = longest * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
        time.sleep(after_s)
        return True

    def progressed(self) -> None:
        """Something arrived: the next failure is the first again."""
        self._failed = 0


def retry_after_s(response: httpx2.Response) -> float | None:
    """Seconds asked for by Retry-After, which is a number or a date; None without one."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
