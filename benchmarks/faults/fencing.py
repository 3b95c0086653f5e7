"""Row 2: every way in which a run that lost its job could still write."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

from sqlalchemy import select

from benchmarks.faults.cluster import Cluster
from service.contract.ids import new_id
from service.contract.job_errors import JobError
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.tables import (
    ArtifactRow,
    AttemptRow,
    EventRow,
    JobRow,
    MetricPointRow,
    MetricStretchRow,
)
from service.store.values import (
    Cancelled,
    ClaimedJob,
    ClaimingWorker,
    Failed,
    JobProgress,
    NewArtifact,
    NewEvent,
    NewJob,
    Paused,
    Point,
    Released,
    Succeeded,
)

_PROJECT = "fencing"
_CRASH = JobError.of("engine_crashed", "it crashed")
_ZOMBIE, _ALIVE = (
    ClaimingWorker(new_id("wrk"), "cpu", frozenset({"kind:train"})) for _ in range(2)
)
_HELD_S = 0.05

Write = Callable[[JobStore, ClaimedJob], object]
WRITES: tuple[Write, ...] = (
    lambda jobs, job: jobs.record(
        job.id,
        job.run,
        progress=JobProgress(1, 2, "training"),
        points=[Point("loss", 1, 1.0)],
        events=[NewEvent("epoch", {})],
        log=b"x",
    ),
    lambda jobs, job: jobs.add_checkpoint(
        job.id, job.run, NewArtifact("c", "checkpoint", "x", "a" * 64, 1, step=1)
    ),
    lambda jobs, job: jobs.heartbeat(_ZOMBIE.id, [(job.id, job.run)], 60)[job.id] is not None,
    *(
        partial(lambda outcome, jobs, job: jobs.finish(job.id, job.run, outcome), outcome)
        for outcome in (
            Succeeded({"by": "a zombie"}),
            Failed(_CRASH),
            Failed(_CRASH, retry=True),
            Released(),
            Paused(),
            Cancelled(),
        )
    ),
)


@dataclass(frozen=True)
class Fenced:
    """Writes tried, and those that changed something or said that they had."""

    tried: int
    got_through: int


def fencing(cluster: Cluster, count: int) -> Fenced:
    """`count` writes against the cluster's database, whose workers must be away.

    In turn the run was fenced out by a lapsed lease, by a drain that gave the attempt back, and by
    a rescue that commits while the write already waits for the row.
    """
    ways = cycle((_lapsed, _drained, _at_commit))
    through = 0
    for write, way in islice(zip(cycle(WRITES), ways, strict=False), count):
        through += way(cluster.database, write)
    return Fenced(count, through)


def _lapsed(database: Database, write: Write) -> bool:
    job = _claimed(database)
    with database.transaction() as session:
        assert JobStore(session).rescue(job.id, job.run) is not None
        _taken_up(session_jobs=JobStore(session), job=job)
    return _changes(database, write, job)


def _drained(database: Database, write: Write) -> bool:
    job = _claimed(database)
    with database.transaction() as session:
        assert JobStore(session).finish(job.id, job.run, Released()) is not None
        again = _taken_up(session_jobs=JobStore(session), job=job)
        assert again.attempt == job.attempt  # given back: only the run tells the two apart
    return _changes(database, write, job)


def _at_commit(database: Database, write: Write) -> bool:
    job = _claimed(database)
    answers: list[object] = []
    started = threading.Event()

    def zombie() -> None:
        started.set()
        with database.transaction() as session:
            answers.append(write(JobStore(session), job))

    with database.transaction() as session:
        assert JobStore(session).rescue(job.id, job.run) is not None
        _taken_up(session_jobs=JobStore(session), job=job)
        thread = threading.Thread(target=zombie)
        thread.start()
        started.wait()
        time.sleep(_HELD_S)  # long enough to run into the row that we hold
    before = _rows(database, job.id)
    thread.join()
    return bool(answers[0]) or _rows(database, job.id) != before


def _claimed(database: Database) -> ClaimedJob:
    with database.transaction() as session:
        job_id = JobStore(session).add(NewJob(_PROJECT, "train", {})).id
        job = JobStore(session).claim(_ZOMBIE, -1.0)  # a lease that has lapsed already
    assert job is not None
    assert job.id == job_id
    return job


def _taken_up(session_jobs: JobStore, job: ClaimedJob) -> ClaimedJob:
    again = session_jobs.claim(_ALIVE, 3600.0)
    assert again is not None
    assert (again.id, again.run) == (job.id, job.run + 1)
    return again


def _changes(database: Database, write: Write, job: ClaimedJob) -> bool:
    before = _rows(database, job.id)
    with database.transaction() as session:
        answer = write(JobStore(session), job)
    return bool(answer) or _rows(database, job.id) != before


def _rows(database: Database, job_id: str) -> list[object]:
    def found() -> Iterator[object]:
        yield session.execute(select(JobRow.__table__).where(JobRow.id == job_id)).all()
        for table in (EventRow, ArtifactRow, AttemptRow, MetricPointRow, MetricStretchRow):
            columns = table.__table__
            yield session.execute(select(columns).where(columns.c.job_id == job_id)).all()

    with database.read() as session:
        return list(found())
