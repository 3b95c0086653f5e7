"""Faults of every kind on a real installation, on SQLite and on Postgres: what is lost?

First a campaign of MINUTES on each database: short jobs under kills, freezes, cut connections and
full disks, then every invariant, read from outside. Then drills, one fault at a time: as many as
were promised at 30 minutes, half of them on each database, fewer in proportion. Breaches go to
standard error, each with the seed, the job and its events.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx2

from benchmarks.faults.campaign import campaign
from benchmarks.faults.cluster import Backend, Cluster
from benchmarks.faults.drills import (
    Drill,
    Hung,
    cancels,
    drains,
    hung_broker,
    killers,
    lost_workers,
    zombies,
)
from benchmarks.faults.fencing import fencing
from benchmarks.figures import Options, Report, percentile

_FULL_MINUTES: Final = 30.0
_SETTLING_S: Final = 90.0  # of the minutes, for the last jobs to end
_WORKERS: Final = 4


def run(options: Options) -> Report:
    """Needs the machine for itself: times are part of the promises."""
    report = Report()
    for backend in ("sqlite", "postgres"):
        _campaign(report, backend, options)
        _drills(report, backend, min(1.0, options.minutes / _FULL_MINUTES))
    return report


def _campaign(report: Report, backend: Backend, options: Options) -> None:
    seconds = 60 * options.minutes
    started = max(0.9 * seconds, seconds - _SETTLING_S)
    done = campaign(backend, seconds=started, seed=options.seed, workers=_WORKERS)
    verdict, faults = done.verdict, done.faults.total()
    if options.minutes >= _FULL_MINUTES:
        report.at_least(f"1 {backend}: faults", faults, "faults", 1000, "≥ 1,000")
        report.at_least(f"1 {backend}: jobs", verdict.jobs, "jobs", 2000, "≥ 2,000")
    counts = f"{faults} faults, {verdict.jobs} jobs"
    report.at_most(f"1 {backend}: jobs lost, {counts}", verdict.lost, "jobs", 0, "0")
    report.at_most(f"1 {backend}: ended or made twice", verdict.twice, "jobs", 0, "0")
    report.at_most(f"1 {backend}: breaches in all", len(verdict.breaches), "", 0, "0")
    report.told(f"1 {backend}: artifacts downloaded and digested", float(verdict.artifacts), "")
    what = f"1 {backend}: until all was over"
    report.at_most(what, done.seconds, "s", seconds, "the minutes given")
    for name, count in sorted(done.faults.items()):
        report.told(f"1 {backend}: {name}", float(count), "times")


def _drills(report: Report, backend: Backend, share: float) -> None:
    def count(full: int) -> int:
        return max(1, round(full / 2 * share))

    with Cluster(backend, 0) as cluster:
        fenced = fencing(cluster, max(27, 2 * count(200)))  # all on each: they take no time
        name = f"2 {backend}: writes of a fenced-out run that got through, of {fenced.tried}"
        report.at_most(name, fenced.got_through, "", 0, "0 of 200")
    with Cluster(backend, _WORKERS) as cluster:
        with _tried(report, f"2 {backend}: zombies"):
            drill = zombies(cluster, count(20))
            _every_time(report, f"2 {backend}: zombies woken at commit", drill)
        with _tried(report, f"3 {backend}: lost workers"):
            drill = lost_workers(cluster, count(30))
            _every_time(report, f"3 {backend}: lost workers", drill)
            _p95(report, f"3 {backend}: SIGKILL to running again", drill, 15)
        with _tried(report, f"4 {backend}: cancels"):
            drill = cancels(cluster, count(100))
            _every_time(report, f"4 {backend}: cancels", drill)
            _p95(report, f"4 {backend}: cancel", drill, 2)
        with _tried(report, f"5 {backend}: drains"):
            drill = drains(cluster, count(50))
            _every_time(report, f"5 {backend}: drains, no attempt used", drill)
            slowest = max(drill.seconds, default=0.0)
            report.at_most(f"5 {backend}: slowest drain", slowest, "s", 30, "≤ 30 s")
        with _tried(report, f"8 {backend}: hung broker"):
            _hung(report, backend, hung_broker(cluster, max(20, count(300))))
        with _tried(report, f"7 {backend}: killers"):
            drill = killers(cluster, count(20))
            _every_time(report, f"7 {backend}: killers tried exactly thrice", drill)


@contextmanager
def _tried(report: Report, name: str) -> Iterator[None]:
    """A drill that breaks off is a figure that is missed; those after it are made all the same."""
    try:
        yield
    except (AssertionError, TimeoutError, httpx2.TransportError):
        sys.stderr.write(f"{name}: {traceback.format_exc()}\n")
        report.at_most(f"{name}: broke off", 1, "", 0, "0")


def _hung(report: Report, backend: Backend, hung: Hung) -> None:
    p99_ms = 1e3 * percentile(hung.post_s, 99)
    name = f"8 {backend}: POST while the broker hangs, p99 of {len(hung.post_s)}"
    report.at_most(name, p99_ms, "ms", 300, "p99 ≤ 300 ms")
    report.at_most(f"8 {backend}: answers of 5xx meanwhile", hung.refused, "", 0, "0")
    report.at_most(f"8 {backend}: recovery to the job's start", hung.start_s, "s", 10, "≤ 10 s")


def _every_time(report: Report, name: str, drill: Drill) -> None:
    for note in drill.notes:
        sys.stderr.write(f"{name}: {note}\n")
    target = f"{drill.done} of {drill.done}"
    report.at_least(name, drill.kept, f"of {drill.done}", drill.done, target)


def _p95(report: Report, name: str, drill: Drill, limit_s: float) -> None:
    if drill.seconds:
        value = percentile(drill.seconds, 95)
        report.at_most(f"{name}, p95", value, "s", limit_s, f"p95 ≤ {limit_s:g} s")
