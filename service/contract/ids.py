"""Identifiers: a prefix that says what it names, and a ULID that sorts by time.

Source of the layout: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits).
"""

import secrets
import threading
import time
from datetime import datetime
from typing import Final, Literal

Prefix = Literal["job", "mdl", "dst", "art", "key", "upl", "wrk", "req", "cmp", "whk", "msg", "aud"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U
_LENGTH: Final = 26
ULID_PATTERN: Final = r"[0-9A-HJKMNP-TV-Z]{26}"


# Of the first id in a millisecond; the bit that is left is room for those that follow it.
_FIRST_BITS: Final = 79
_STEP_BITS: Final = 40  # between two of a millisecond: neither tells the other


class _Clock:
    """Milliseconds and random bits that rise from one id of this process to the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds, self._random = 0, 0

    def tick(self) -> tuple[int, int]:
        """As the source's "monotonicity" asks; a clock that was set back is followed."""
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now == self._milliseconds:
                self._random += 1 + secrets.randbits(_STEP_BITS)
            else:
                self._milliseconds, self._random = now, secrets.randbits(_FIRST_BITS)
            return self._milliseconds, self._random


_CLOCK: Final = _Clock()


def new_id(prefix: Prefix) -> str:
    """A fresh id. Those of a process sort in the order they were made, those of several by the
    millisecond."""
    return _spelled(prefix, *_CLOCK.tick())


_LATEST_MS: Final = (1 << 48) - 1


def first_id(prefix: Prefix, at: datetime, shift_s: float = 0.0) -> str:
    """No id made at `at` (aware), or so many seconds after it, or later sorts before this one."""
    # not by a timedelta: the first and the last year have no day before and after them
    milliseconds = int((at.timestamp() + shift_s) * 1000)
    return _spelled(prefix, min(max(0, milliseconds), _LATEST_MS), 0)


def _spelled(prefix: Prefix, milliseconds: int, random: int) -> str:
    value = milliseconds << 80 | random
    digits = (_ALPHABET[value >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
    return f"{prefix}_{''.join(digits)}"
