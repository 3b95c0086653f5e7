"""Time that the test moves, and short ways to make rows."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select

from service.contract.lifecycle import JobStatus
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.tables import AttemptRow, JobRow
from service.store.values import (
    Cancelled,
    ClaimedJob,
    ClaimingWorker,
    Failed,
    NewJob,
    Paused,
    Succeeded,
)
from tests.store.samples import CRASH, LEASE_S, WORKER

T = TypeVar("T")


@dataclass
class Watch:
    """A clock that stands still until it is told to go on."""

    time: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Jobs:
    """Each call is a transaction of its own."""

    database: Database
    watch: Watch

    def add(self, project: str = "p", **fields: object) -> str:
        job = NewJob(project=project, kind="train", spec={"kind": "train"}, **fields)  # type: ignore[arg-type]
        with self.database.transaction() as session:
            JobStore(session).add(job)
        return job.id

    def claim(self, worker: ClaimingWorker = WORKER) -> ClaimedJob | None:
        with self.database.transaction() as session:
            return JobStore(session).claim(worker, LEASE_S)

    def claimed(self, worker: ClaimingWorker = WORKER) -> ClaimedJob:
        job = self.claim(worker)
        assert job is not None
        return job

    def do(self, what: Callable[[JobStore], T]) -> T:
        with self.database.transaction() as session:
            return what(JobStore(session))

    def row(self, job_id: str) -> JobRow:
        with self.database.read() as session:
            return JobStore(session).get(job_id)

    def attempts(self, job_id: str) -> Sequence[AttemptRow]:
        with self.database.read() as session:
            query = select(AttemptRow).where(AttemptRow.job_id == job_id).order_by(AttemptRow.run)
            return session.scalars(query).all()

    def in_state(self, status: JobStatus) -> ClaimedJob:
        """A job that was claimed once and went to `status` by legal moves."""
        job_id = self.add()
        job = self.claimed()
        assert job.id == job_id
        match status:
            case "queued":
                self.do(lambda jobs: jobs.finish(job.id, job.run, Failed(CRASH, retry=True)))
            case "running":
                pass
            case "cancelling":
                self.do(lambda jobs: jobs.request_cancel(job.id, "p"))
            case "pausing":
                self.do(lambda jobs: jobs.request_pause(job.id, "p"))
            case "paused":
                self.do(lambda jobs: jobs.request_pause(job.id, "p"))
                self.do(lambda jobs: jobs.finish(job.id, job.run, Paused()))
            case "succeeded":
                self.do(lambda jobs: jobs.finish(job.id, job.run, Succeeded({})))
            case "failed":
                self.do(lambda jobs: jobs.finish(job.id, job.run, Failed(CRASH)))
            case "cancelled":
                self.do(lambda jobs: jobs.request_cancel(job.id, "p"))
                self.do(lambda jobs: jobs.finish(job.id, job.run, Cancelled()))
        assert self.row(job.id).status == status
        return job


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def jobs(open_database: Callable[..., Database], watch: Watch) -> Jobs:
    return Jobs(open_database(watch), watch)


@pytest.fixture
def fast_sqlite(sqlite_tables: Path) -> Iterator[str]:
    """In memory, as far as the machine has such a folder: thousands of commits are synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield f"sqlite:///{shutil.copy(sqlite_tables, Path(folder) / 'life.db')}"
