"""Rows 3, 4, 5, 7 and 8, and zombies: one fault at a time, timed, at the default settings."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from benchmarks.faults.cluster import Cluster
from benchmarks.faults.load import LONG_EPOCHS, ask, short, submit
from service.contract.ids import new_id
from service.contract.lifecycle import TERMINAL

_SOON_S: Final = 120.0


@dataclass
class Drill:
    """How often it was done, how often as promised, and how long each took."""

    done: int = 0
    kept: int = 0
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, kept: bool, seconds: float | None, what: str) -> None:
        self.done += 1
        self.kept += kept
        if seconds is not None:
            self.seconds.append(seconds)
        if not kept:
            self.notes.append(what)


def lost_workers(cluster: Cluster, count: int) -> Drill:
    """Row 3: from the SIGKILL of a whole worker to its job running again elsewhere."""
    drill = Drill()
    while drill.done < count:
        with _running(cluster, 1) as (job_id,):
            name = _worker_of(cluster, job_id)
            struck = time.time()
            cluster.kill_worker(name)
            cluster.start_worker()
            started = _second_start(cluster, job_id)
            drill.note(started is not None, _between(struck, started), f"{job_id} of {name}")
        _all_workers(cluster)
    return drill


def zombies(cluster: Cluster, count: int) -> Drill:
    """Row 2 with processes: a frozen worker wakes when the run that followed is about to end."""
    drill = Drill()
    while drill.done < count:
        job_id = submit(cluster.http, short(150), new_id("req"))
        _until(cluster, job_id, "running", "training")
        with cluster.frozen(_worker_of(cluster, job_id)):
            _second_start(cluster, job_id)
            cluster.wait(lambda job_id=job_id: _fraction(cluster, job_id) > 0.9, _SOON_S, "the end")  # type: ignore[misc]
        job = _until_over(cluster, job_id)
        states = _states(cluster, job_id)
        good = job["status"] == "succeeded" and states.count("succeeded") == 1
        drill.note(good and states.count("running") == 2, None, f"{job_id}: {states}")
    return drill


def cancels(cluster: Cluster, count: int) -> Drill:
    """Row 4: from the request to `cancelled`; every other time the broker is dead meanwhile."""
    drill = Drill()
    slots = len(cluster.workers)
    while drill.done < count:
        with _running(cluster, min(slots, count - drill.done)) as job_ids:
            without_broker = drill.done // slots % 2 == 1
            if without_broker:
                cluster.kill_broker()
            for job_id in job_ids:
                asked = time.time()
                ask(cluster.http, job_id, "cancel")
                job = _until_over(cluster, job_id)
                took = _between(asked, datetime.fromisoformat(job["finished_at"]))
                drill.note(job["status"] == "cancelled", took, f"{job_id} is {job['status']}")
            if without_broker:
                cluster.start_broker()
    return drill


def drains(cluster: Cluster, count: int) -> Drill:
    """Row 5: SIGTERM to a worker in the middle of a job; every third time the broker hangs."""
    drill = Drill()
    while drill.done < count:
        with _running(cluster, 1) as (job_id,):
            name = _worker_of(cluster, job_id)
            process = cluster.workers.pop(name)
            hangs = drill.done % 3 == 2
            if hangs:
                os.kill(cluster.broker.pid, signal.SIGSTOP)
            started = time.monotonic()
            os.kill(process.pid, signal.SIGTERM)
            while process.exit_code is None and time.monotonic() - started < 60:
                time.sleep(0.02)
            took, code = time.monotonic() - started, process.exit_code
            process.kill()
            if hangs:
                os.kill(cluster.broker.pid, signal.SIGCONT)
            job = cluster.get(f"/v1/jobs/{job_id}")
            reasons = [e["data"].get("reason") for e in _moves(cluster, job_id)]
            # queued with none used, or already taken up by another with one
            unused = job["attempt"] == (0 if job["status"] == "queued" else 1)
            good = code == 0 and unused and "drain" in reasons and took <= 30
            drill.note(good, took, f"{job_id}: exit {code} after {took:.1f} s, {reasons}")
            cluster.start_worker()
        _all_workers(cluster)
    return drill


def killers(cluster: Cluster, count: int) -> Drill:
    """Row 7: whoever takes the job dies. It is tried three times and never again."""
    drill = Drill()
    slots = len(cluster.workers)
    while drill.done < count:
        many = min(slots, count - drill.done)
        ids = [submit(cluster.http, short(LONG_EPOCHS), new_id("req")) for _ in range(many)]
        for job in _killing(cluster, ids):
            starts = _states(cluster, job["id"]).count("running")
            good = starts == 3 and (job["error"] or {}).get("code") == "worker_lost"
            drill.note(good, None, f"{job['id']}: {starts} starts, {job['error']}")
    return drill


def _killing(cluster: Cluster, ids: list[str]) -> Iterator[Any]:
    """Kill every worker that takes one of these, at once, until all are over; then the jobs."""
    deadline = time.monotonic() + 300
    living = list(ids)
    while living:
        assert time.monotonic() < deadline, f"{living} are not over"
        jobs = [cluster.get(f"/v1/jobs/{job_id}") for job_id in living]
        living = [job["id"] for job in jobs if job["status"] not in TERMINAL]
        yield from (job for job in jobs if job["status"] in TERMINAL)
        for job in jobs:
            name = cluster.worker_of(job) if job["status"] == "running" else None
            if name is not None:
                cluster.kill_worker(name)
                cluster.start_worker()
        time.sleep(0.1)


@dataclass(frozen=True)
class Hung:
    """Latencies of POST while the broker hung, answers of 500 and more, and the start after."""

    post_s: list[float]
    refused: int
    start_s: float


def hung_broker(cluster: Cluster, posts: int) -> Hung:
    """Row 8: jobs are submitted while the broker is stopped in the middle of its work."""
    _all_workers(cluster)
    os.kill(cluster.broker.pid, signal.SIGSTOP)
    times, refused, ids = [], 0, []
    try:
        for number in range(posts):
            spec = short(priority=9 if number == posts - 1 else 0)
            started = time.perf_counter()
            answer = cluster.http.post("/v1/jobs", json=spec)
            times.append(time.perf_counter() - started)
            refused += answer.status_code >= 500
            if answer.status_code < 300:
                ids.append(answer.json()["id"])
    finally:
        os.kill(cluster.broker.pid, signal.SIGCONT)
    recovered = time.time()
    for job_id in ids[:-1]:
        ask(cluster.http, job_id, "cancel")
    job = _until_over(cluster, ids[-1])
    start_s = _between(recovered, datetime.fromisoformat(job["started_at"]))
    for job_id in ids[:-1]:
        _until_over(cluster, job_id)
    return Hung(times, refused, max(0.0, start_s or 0.0))


@contextmanager
def _running(cluster: Cluster, count: int) -> Iterator[list[str]]:
    """Long jobs that have begun to train; cancelled afterwards."""
    ids = [submit(cluster.http, short(LONG_EPOCHS), new_id("req")) for _ in range(count)]
    for job_id in ids:
        _until(cluster, job_id, "running", "training")
    yield ids
    for job_id in ids:
        ask(cluster.http, job_id, "cancel")
    for job_id in ids:
        _until_over(cluster, job_id)


def _until(cluster: Cluster, job_id: str, status: str, phase: str) -> None:
    def there() -> bool:
        job = cluster.get(f"/v1/jobs/{job_id}")
        assert job["status"] not in TERMINAL, f"{job_id} ended: {job['error']}"
        return job["status"] == status and (job["progress"] or {}).get("phase") == phase

    cluster.wait(there, _SOON_S, f"{job_id} to be {status}, {phase}")


def _until_over(cluster: Cluster, job_id: str) -> Any:
    found: Any = None

    def over() -> bool:
        nonlocal found
        found = cluster.get(f"/v1/jobs/{job_id}")
        return found["status"] in TERMINAL

    cluster.wait(over, _SOON_S, f"{job_id} to end")
    return found


def _second_start(cluster: Cluster, job_id: str) -> datetime | None:
    def starts() -> list[datetime]:
        return [
            datetime.fromisoformat(event["created_at"])
            for event in _moves(cluster, job_id)
            if event["data"]["status"] == "running"
        ]

    cluster.wait(lambda: len(starts()) > 1, _SOON_S, f"{job_id} to start again")
    return starts()[1]


def _worker_of(cluster: Cluster, job_id: str) -> str:
    name = cluster.worker_of(cluster.get(f"/v1/jobs/{job_id}"))
    assert name is not None, f"nobody has {job_id}"
    return name


def _all_workers(cluster: Cluster) -> None:
    wanted = set(cluster.workers)
    cluster.wait(lambda: wanted <= set(cluster.alive().values()), _SOON_S, "every worker")


def _moves(cluster: Cluster, job_id: str) -> list[Any]:
    """Its `state` events. Epochs come between, so there are many pages."""
    moves, after = [], 0
    while True:
        page = cluster.get(f"/v1/jobs/{job_id}/events", limit=100, after=after)
        moves += [event for event in page["data"] if event["type"] == "state"]
        if not page["has_more"]:
            return moves
        after = page["data"][-1]["id"]


def _states(cluster: Cluster, job_id: str) -> list[str]:
    return [event["data"]["status"] for event in _moves(cluster, job_id)]


def _fraction(cluster: Cluster, job_id: str) -> float:
    job = cluster.get(f"/v1/jobs/{job_id}")
    if job["status"] in TERMINAL:
        return 1.0
    progress = job["progress"] or {"phase": "", "fraction": 0.0}
    return 1.0 if progress["phase"] == "evaluating" else float(progress["fraction"])


def _between(start: float, end: datetime | None) -> float | None:
    return None if end is None else end.timestamp() - start
