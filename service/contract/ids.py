"""Identifiers: a prefix that says what it names, and a ULID that sorts by time.

Source of the layout: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits).
"""

import secrets
import time
from datetime import datetime
from typing import Final, Literal

Prefix = Literal["job", "mdl", "dst", "art", "key", "upl", "wrk", "req"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U
_LENGTH: Final = 26
ULID_PATTERN: Final = r"[0-9A-HJKMNP-TV-Z]{26}"


def new_id(prefix: Prefix) -> str:
    """A fresh id. Two ids made in different milliseconds sort by the time they were made."""
    return _spelled(prefix, time.time_ns() // 1_000_000, secrets.randbits(80))


def first_id(prefix: Prefix, at: datetime) -> str:
    """No id made at `at` (aware) or later sorts before this one."""
    return _spelled(prefix, max(0, int(at.timestamp() * 1000)), 0)


def _spelled(prefix: Prefix, milliseconds: int, random: int) -> str:
    value = milliseconds << 80 | random
    digits = (_ALPHABET[value >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
    return f"{prefix}_{''.join(digits)}"
