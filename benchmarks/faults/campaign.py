"""Row 1: short jobs under faults of every kind, then every invariant."""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.faults.cluster import QUICK, Backend, Cluster
from benchmarks.faults.invariants import Verdict, judge
from benchmarks.faults.load import Load, settle
from benchmarks.faults.strikes import Strikes

_FREEZE_S: Final = 5.0  # beyond a quick lease and a sweep
_SETTLE_S: Final = 600.0
_MIB_PER_S: Final = 0.8  # two jobs a second; their reports take 0.3 MiB each


@dataclass(frozen=True)
class Campaign:
    """What was done and what was found; the seconds until every job was over."""

    faults: Counter[str]
    verdict: Verdict
    seconds: float


def campaign(
    backend: Backend,
    *,
    seconds: float,
    seed: int,
    workers: int = 4,
    every_s: float = 1.15,
    faults: int = 0,
    jobs: int = 0,
) -> Campaign:
    """Strike a fresh cluster about once in `every_s` for so long, and until there were so many
    faults and jobs; then let it settle and judge."""
    random = Random(f"{backend}-{seed}")
    disk_mib = 256 + int(seconds * _MIB_PER_S)
    with Cluster(backend, workers, QUICK, disk_mib) as cluster:
        strikes = Strikes(cluster, random, _FREEZE_S)
        started = time.monotonic()
        with Load(cluster, seed) as load:
            due = started

            def goes_on() -> bool:
                few = strikes.done.total() < faults or len(load.accepted) < jobs
                return (few or time.monotonic() < started + seconds) and load.error is None

            while goes_on():
                strikes.mend()
                if time.monotonic() >= due:
                    strikes.strike()
                    due = time.monotonic() + random.uniform(0.2, 2 * every_s - 0.2)
                time.sleep(0.02)
            strikes.mend_all()
        if load.error is not None:
            raise load.error
        living = settle(cluster, load.accepted, _SETTLE_S)
        took = time.monotonic() - started
        cluster.wait(lambda: not cluster.strangers(), 10, "orphans to end")
        verdict = judge(cluster, load.accepted)
        tell(verdict, seed, living)
        return Campaign(strikes.done, verdict, took)


def tell(verdict: Verdict, seed: int, living: list[str]) -> None:
    """Breaches on standard error, with the seed that shows them again."""
    for job_id in living:
        sys.stderr.write(f"seed {seed}: {job_id} is not over\n")
    for breach in verdict.breaches:
        sys.stderr.write(f"seed {seed}: {breach}\n")
