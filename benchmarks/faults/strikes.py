"""The faults, each with what mends it. What is struck and when follows from the seed."""

import contextlib
import heapq
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

import psutil
import redis

from benchmarks.faults.cluster import Cluster
from benchmarks.faults.tmpfs import fill

Mend = Callable[[], object]

_WEIGHTS: Final = {
    "child killed": 46,
    "database connections cut": 12,
    "broker connections cut": 12,
    "worker frozen past its lease": 8,
    "worker killed": 3,
    "worker drained": 2,
    "broker killed": 5,
    "broker frozen": 4,
    "database killed": 3,
    "API killed": 2,
    "disk full": 3,
}
_DRAIN_S: Final = 30.0
_FEWEST: Final = 2  # workers left standing, so that jobs go on


@dataclass
class Strikes:
    """Strikes a cluster from the thread that started it, and mends what was struck when due.

    No mend waits for a process: what it waits for may wait for another mend. A worker that is
    frozen within a write of SQLite, for one, keeps an API from starting.
    """

    cluster: Cluster
    random: Random
    freeze_s: float
    done: Counter[str] = field(default_factory=Counter)
    _due: list[tuple[float, int, Mend]] = field(default_factory=list)
    _down: set[str] = field(default_factory=set)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def strike(self) -> None:
        """One fault of those that are possible now."""
        faults: dict[str, Callable[[], bool]] = {
            "child killed": self._kill_child,
            "database connections cut": self._cut_database,
            "broker connections cut": self._cut_broker,
            "worker frozen past its lease": self._freeze_worker,
            "worker killed": self._kill_worker,
            "worker drained": self._drain_worker,
            "broker killed": self._kill_broker,
            "broker frozen": self._freeze_broker,
            "database killed": self._kill_database,
            "API killed": self._kill_api,
            "disk full": self._fill_disk,
        }
        weights = {name: weight for name, weight in _WEIGHTS.items() if self._has(name)}
        name = self.random.choices(list(weights), list(weights.values()))[0]
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if faults[name]():
                self.done[name] += 1

    def _has(self, name: str) -> bool:
        """Whether the cluster has what this fault strikes."""
        if name.startswith("database"):
            return self.cluster.postgres is not None
        return self.cluster.has_small_disk or name != "disk full"

    def mend(self) -> None:
        """What is due by now."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        if "api" not in self._down and self.cluster.api.exit_code is not None:
            self.cluster.launch_api()  # it found no database, and ended: a supervisor starts it

    def mend_all(self) -> None:
        """Everything, now."""
        while self._due:
            heapq.heappop(self._due)[2]()
            time.sleep(0.05)
        self.mend()

    def _later(self, seconds: float, mend: Mend) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), mend))

    def _once(self, thing: str) -> bool:
        """Whether `thing` stands, which is then down until `_up`."""
        if thing in self._down:
            return False
        self._down.add(thing)
        return True

    def _up(self, thing: str, mend: Mend) -> Mend:
        def up() -> None:
            mend()
            self._down.discard(thing)

        return up

    def _worker(self) -> str | None:
        standing = [name for name in self.cluster.workers if name not in self._down]
        return self.random.choice(standing) if len(standing) > _FEWEST else None

    def _kill_child(self) -> bool:
        for name in self.random.sample(sorted(self.cluster.workers), len(self.cluster.workers)):
            children = self.cluster.children_of(name)
            if children:
                self.random.choice(children).kill()
                return True
        return False

    def _kill_worker(self) -> bool:
        name = self._worker()
        if name is None:
            return False
        self.cluster.kill_worker(name)
        self._later(0.5, self.cluster.start_worker)
        return True

    def _drain_worker(self) -> bool:
        name = self._worker()
        if name is None:
            return False
        process = self.cluster.workers[name]
        os.kill(process.pid, signal.SIGTERM)
        self._down.add(name)
        deadline = time.monotonic() + _DRAIN_S

        def replace() -> None:
            if process.exit_code is None and time.monotonic() < deadline:
                self._later(0.5, replace)
                return
            self.cluster.kill_worker(name)
            self._down.discard(name)
            self.cluster.start_worker()

        self._later(2.0, replace)
        return True

    def _freeze_worker(self) -> bool:
        name = self._worker()
        if name is None:
            return False
        pid = self.cluster.workers[name].pid
        os.kill(pid, signal.SIGSTOP)
        self._down.add(name)
        self._later(self.freeze_s, self._up(name, lambda: os.kill(pid, signal.SIGCONT)))
        return True

    def _cut_database(self) -> bool:
        return "database" not in self._down and self.cluster.cut_connections() > 0

    def _cut_broker(self) -> bool:
        if "broker" in self._down:
            return False
        with redis.Redis(unix_socket_path=str(self.cluster.socket), socket_timeout=2) as client:
            return int(client.execute_command("CLIENT", "KILL", "TYPE", "normal")) > 0

    def _kill_broker(self) -> bool:
        if not self._once("broker"):
            return False
        self.cluster.kill_broker()
        seconds = self.random.uniform(0.1, 3.0)
        self._later(seconds, self._up("broker", self.cluster.start_broker))
        return True

    def _freeze_broker(self) -> bool:
        if not self._once("broker"):
            return False
        pid = self.cluster.broker.pid
        os.kill(pid, signal.SIGSTOP)
        seconds = self.random.uniform(1.0, 5.0)
        self._later(seconds, self._up("broker", lambda: os.kill(pid, signal.SIGCONT)))
        return True

    def _kill_database(self) -> bool:
        postgres = self.cluster.postgres
        if postgres is None or not self._once("database"):
            return False
        postgres.kill()
        seconds = self.random.uniform(0.1, 3.0)
        self._later(seconds, self._up("database", postgres.start))
        return True

    def _kill_api(self) -> bool:
        if not self._once("api"):
            return False
        self.cluster.kill_api()
        self._later(self.random.uniform(0.1, 1.0), self._up("api", self.cluster.launch_api))
        return True

    def _fill_disk(self) -> bool:
        if not self._once("disk"):
            return False
        ballast = fill(self.cluster.data, self.random.choice((0, 4096, 65536)))
        self._later(self.random.uniform(0.5, 2.0), self._up("disk", ballast.unlink))
        return True
