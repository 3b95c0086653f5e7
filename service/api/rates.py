"""How many requests are taken: token buckets, in the memory of this process.

Each key has a bucket for reading and one for writing, each address, or network of an IPv6 address,
one for keys that were refused.
A bucket holds what a minute allows and fills steadily, so that a burst of that size is taken at
once. With several API processes each counts for itself. The headers are those of
draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

from service.config import Settings
from service.errors import TooMany

_WINDOW_S: Final = 60
_MOST: Final = 10_000  # buckets of a policy; the fullest tell least and go first

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one who asks stands with a policy: requests left, and seconds until all are there."""

    policy: str
    left: int
    full_in_s: int

    def header(self) -> bytes:
        """The field RateLimit."""
        return f'"{self.policy}";r={self.left};t={self.full_in_s}'.encode()


class Policy:
    """Buckets of one kind. `per_minute` 0: none, and nothing is ever refused."""

    def __init__(self, name: str, per_minute: int, clock: Clock = time.monotonic) -> None:
        self.name = name
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, who: str) -> Standing | None:
        """Count a request. Raises TooMany when none is left; None where nothing is counted."""
        if not self.per_minute:
            return None
        with self._lock:
            tokens = self._tokens(who)
            if tokens < 1:
                raise self._refusal(tokens)
            self._buckets[who] = (tokens - 1, self._clock())
            return self._standing(tokens - 1)

    def check(self, who: str) -> Standing | None:
        """As `take`, but count nothing."""
        if not self.per_minute:
            return None
        with self._lock:
            tokens = self._tokens(who)
        if tokens < 1:
            raise self._refusal(tokens)
        return self._standing(tokens)

    def header(self) -> str:
        """The policy as the field RateLimit-Policy lists it."""
        return f'"{self.name}";q={self.per_minute};w={_WINDOW_S}'

    def _tokens(self, who: str) -> float:
        now = self._clock()
        if who not in self._buckets:
            if len(self._buckets) >= _MOST:
                self._forget(now)
            return float(self.per_minute)
        tokens, at = self._buckets[who]
        return min(float(self.per_minute), tokens + (now - at) * self.per_minute / _WINDOW_S)

    def _forget(self, now: float) -> None:
        """Those that are full again; if nearly none is, the half that was used longest ago."""
        full = [who for who, (_, at) in self._buckets.items() if now - at >= _WINDOW_S]
        if len(full) < _MOST // 100:
            full = sorted(self._buckets, key=lambda who: self._buckets[who][1])[: _MOST // 2]
        for who in full:
            del self._buckets[who]

    def _standing(self, tokens: float) -> Standing:
        full_in_s = math.ceil((self.per_minute - tokens) * _WINDOW_S / self.per_minute)
        return Standing(self.name, int(tokens), full_in_s)

    def _refusal(self, tokens: float) -> TooMany:
        wait_s = max(1, math.ceil((1 - tokens) * _WINDOW_S / self.per_minute))
        error = TooMany(
            f"{self.name}: {self.per_minute} a minute are allowed; try again in {wait_s} s",
            retry_after_s=wait_s,
        )
        error.headers["RateLimit"] = self._standing(tokens).header().decode()
        return error


def neighbourhood(address: str) -> str:
    """Whose bucket a request from there has: of IPv6 a /64, in which one caller has 2^64 addresses
    to choose from."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed) >> 64 << 64, 64)))


class Rates:
    """The policies of this process."""

    def __init__(self, settings: Settings, clock: Clock = time.monotonic) -> None:
        self.reads = Policy("reads", settings.rate_reads, clock)
        self.writes = Policy("writes", settings.rate_writes, clock)
        self.refusals = Policy("refusals", settings.rate_refusals, clock)
        policies = (self.reads, self.writes, self.refusals)
        self.header = ", ".join(p.header() for p in policies if p.per_minute).encode()
        """The field RateLimit-Policy."""

    def of(self, method: str) -> Policy:
        """What a request of that method counts for."""
        return self.reads if method in ("GET", "HEAD") else self.writes
