"""A model of the job's life beside the store: several workers, a sweep, and a clock that is ours.

Hypothesis interleaves what people, workers and sweepers do. Workers freeze, wake and go on writing
with a run that is no longer theirs; each such write must change nothing.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from service.contract.lifecycle import LEASED, MOVES, TERMINAL, JobStatus
from service.store.errors import InvalidMove
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.tables import (
    ArtifactRow,
    AttemptRow,
    DependencyRow,
    EventRow,
    JobRow,
    LogChunkRow,
    MetricPointRow,
    MetricStretchRow,
)
from service.store.values import (
    Cancelled,
    ClaimedJob,
    ClaimingWorker,
    Failed,
    JobProgress,
    NewEvent,
    NewJob,
    Outcome,
    Paused,
    Point,
    Released,
    Succeeded,
)
from tests.store.conftest import Watch
from tests.store.samples import CRASH, LEASE_S, SHA, checkpoint

WORKERS: Final = tuple(ClaimingWorker(f"wrk_{n:026}", "cpu", frozenset()) for n in range(3))
OUTCOMES: Final[Sequence[Outcome]] = (
    Succeeded({"a": 1}, artifacts=(checkpoint(9, SHA["c"]),)),
    Failed(CRASH),
    Failed(CRASH, retry=True),
    Cancelled(),
    Paused(),
    Released(),
)
GIVEN_BACK: Final = (Paused, Released)


@dataclass
class Model:
    """What a job must look like, by the rules of docs/job-states.md alone."""

    status: JobStatus = "queued"
    run: int = 0
    attempt: int = 0
    max_attempts: int = 3
    on: str | None = None
    endings: int = 0
    artifacts: int = 0

    def go(self, target: JobStatus) -> None:
        assert target in MOVES[self.status]
        self.status = target
        self.endings += target in TERMINAL


class Life(RuleBasedStateMachine):
    """One database, three workers that may sleep through their leases."""

    claims = Bundle("claims")
    job_ids = Bundle("job_ids")

    database: Database  # given by the test
    watch: Watch

    @initialize()
    def begin(self) -> None:
        self.models: dict[str, Model] = {}
        self.leases: dict[str, tuple[int, float]] = {}
        self.elapsed = 0.0
        with self.database.transaction() as session:
            session.execute(delete(JobRow))

    # People

    @precondition(lambda self: len(self.models) < 4)  # few, so that much happens to each
    @rule(target=job_ids, attempts=st.sampled_from([1, 1, 2, 3]))
    def submit(self, attempts: int) -> str:
        return self._submit(attempts, None)

    @precondition(lambda self: len(self.models) < 4)
    @rule(target=job_ids, on=job_ids, attempts=st.integers(1, 2))
    def submit_dependent(self, on: str, attempts: int) -> str:
        return self._submit(attempts, on)

    def _submit(self, attempts: int, on: str | None) -> str:
        job = NewJob("p", "train", {}, max_attempts=attempts, references=(on,) if on else ())
        with self.database.transaction() as session:
            JobStore(session).add(job)
        model = self.models[job.id] = Model(max_attempts=attempts, on=on)
        if on is not None:
            self._settle(on)
            if self.models[on].status in ("failed", "cancelled") and model.status == "queued":
                model.go("failed")
        return job.id

    @rule(job_id=job_ids, verb=st.sampled_from(["cancel", "pause", "resume", "resume"]))
    def ask_of_any(self, job_id: str, verb: str) -> None:
        self.ask(job_id, verb)

    def ask(self, job_id: str, verb: str) -> None:
        expected: dict[str, dict[JobStatus, JobStatus]] = {
            "cancel": {
                "queued": "cancelled", "paused": "cancelled",
                "running": "cancelling", "pausing": "cancelling",
            },
            "pause": {"queued": "paused", "running": "pausing"},
            "resume": {"paused": "queued"},
        }  # fmt: skip
        harmless = {"cancel": {"cancelling", "cancelled"}, "pause": {"pausing", "paused"}}
        model = self.models[job_id]
        try:
            with self.database.transaction() as session:
                jobs = JobStore(session)
                asked = {
                    "cancel": jobs.request_cancel,
                    "pause": jobs.request_pause,
                    "resume": jobs.resume,
                }
                asked[verb](job_id, "p")
        except InvalidMove:
            assert model.status not in expected[verb]
            assert model.status not in harmless.get(verb, set())
            return
        if model.status not in harmless.get(verb, set()):
            model.go(expected[verb][model.status])
            self._settle(job_id)

    @rule(claimed=claims, verb=st.sampled_from(["cancel", "pause", "pause"]))
    def ask_of_claimed(self, claimed: tuple[ClaimingWorker, ClaimedJob], verb: str) -> None:
        self.ask(claimed[1].id, verb)

    # Workers

    @rule(target=claims, worker=st.sampled_from(WORKERS))
    def claim(self, worker: ClaimingWorker) -> object:
        with self.database.transaction() as session:
            job = JobStore(session).claim(worker, LEASE_S)
        if job is None:
            return multiple()
        model = self.models[job.id]
        assert model.status == "queued"
        assert model.on is None or self.models[model.on].status == "succeeded"
        model.go("running")
        model.run, model.attempt = model.run + 1, model.attempt + 1
        assert (job.run, job.attempt) == (model.run, model.attempt)
        self.leases[job.id] = (job.run, self.elapsed + LEASE_S)
        return worker, job

    def _holds(self, job: ClaimedJob) -> bool:
        model = self.models[job.id]
        return model.run == job.run and model.status in LEASED

    @rule(claimed=claims)
    def beat(self, claimed: tuple[ClaimingWorker, ClaimedJob]) -> None:
        worker, job = claimed
        with self.database.transaction() as session:
            heard = JobStore(session).heartbeat(worker.id, [(job.id, job.run)], LEASE_S)
        holds = self._holds(job)
        assert heard == {job.id: self.models[job.id].status if holds else None}
        if holds:
            self.leases[job.id] = (job.run, self.elapsed + LEASE_S)

    @rule(claimed=claims, step=st.integers(1, 5))
    def report(self, claimed: tuple[ClaimingWorker, ClaimedJob], step: int) -> None:
        job, before = claimed[1], self._everything()
        with self.database.transaction() as session:
            jobs = JobStore(session)
            ours = jobs.record(
                job.id,
                job.run,
                progress=JobProgress(step, 5, "training"),
                points=[Point("loss", step, 1.0)],
                events=[NewEvent("epoch", {"run": job.run})],
                log=b"x",
            )
            kept = jobs.add_checkpoint(job.id, job.run, checkpoint(step))
        assert ours == kept == self._holds(job)
        assert ours or self._everything() == before

    @rule(claimed=claims, outcome=st.sampled_from(OUTCOMES))
    def finish(self, claimed: tuple[ClaimingWorker, ClaimedJob], outcome: Outcome) -> None:
        job, before = claimed[1], self._everything()
        # The same artifact cannot be stored twice: each finish has ids of its own.
        if isinstance(outcome, Succeeded):
            outcome = Succeeded({"run": job.run}, artifacts=(checkpoint(9, SHA["c"]),))
        with self.database.transaction() as session:
            moved = JobStore(session).finish(job.id, job.run, outcome)
        model = self.models[job.id]
        target = _target(model, outcome) if self._holds(job) else None
        assert (None if moved is None else moved.status) == target
        if target is None:
            assert self._everything() == before
            return
        model.go(target)
        model.attempt -= isinstance(outcome, GIVEN_BACK)
        self._settle(job.id)

    @rule(
        target=claims,
        claimed=claims,
        by=st.sampled_from(WORKERS),
        outcome=st.sampled_from(OUTCOMES),
    )
    def overtake(
        self, claimed: tuple[ClaimingWorker, ClaimedJob], by: ClaimingWorker, outcome: Outcome
    ) -> object:
        """It sleeps through its lease, wakes when the job runs elsewhere, and goes on writing."""
        if not self._holds(claimed[1]):
            return multiple()
        self.sweep(LEASE_S + 1)
        self._wait(40.0)  # past the pause after a failure
        again = self.claim(by)
        self.report(claimed, 1)
        self.finish(claimed, outcome)
        return again

    # Time

    @rule(seconds=st.sampled_from([0.5, 4.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        self.watch.pass_(seconds)
        self.elapsed += seconds

    @precondition(lambda self: self.leases)
    @rule(silence=st.sampled_from([0.0, LEASE_S + 1, LEASE_S + 1]))
    def sweep(self, silence: float) -> None:
        self._wait(silence)
        with self.database.transaction() as session:
            found = set(JobStore(session).lapsed(100))
        expected = {
            (job_id, run)
            for job_id, (run, until) in self.leases.items()
            if until < self.elapsed
            and self.models[job_id].run == run
            and self.models[job_id].status in LEASED
        }
        assert found == expected
        for job_id, run in sorted(found):
            with self.database.transaction() as session:
                moved = JobStore(session).rescue(job_id, run)
            if moved is None:
                assert self.models[job_id].status not in LEASED
                continue
            self.models[job_id].go(_rescued(self.models[job_id]))
            assert moved.status == self.models[job_id].status
            self._settle(job_id)

    @rule(claimed=claims)
    def rescue_what_was_heard_of_after_all(
        self, claimed: tuple[ClaimingWorker, ClaimedJob]
    ) -> None:
        """Another sweep found it lapsed, and its worker's heartbeat came first."""
        job, before = claimed[1], self._everything()
        run, until = self.leases[job.id]
        if self._holds(job) and (run, until < self.elapsed) == (job.run, True):
            return  # lapsed in truth: `sweep` has it
        with self.database.transaction() as session:
            assert JobStore(session).rescue(job.id, job.run) is None
        assert self._everything() == before

    def _settle(self, job_id: str) -> None:
        """Who waited for a job that will never succeed has failed with it."""
        if self.models[job_id].status not in ("failed", "cancelled"):
            return
        for other_id, other in self.models.items():
            if other.on == job_id and other.status in ("queued", "paused"):
                if other.status == "paused":
                    other.go("queued")
                other.go("failed")
                self._settle(other_id)

    # What must hold whenever one looks

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        with self.database.read() as session:
            rows = {row.id: row for row in session.scalars(select(JobRow))}
            waits = set(session.execute(select(DependencyRow.job_id, DependencyRow.on_id)).all())
        assert rows.keys() == self.models.keys()
        for job_id, model in self.models.items():
            row = rows[job_id]
            assert (row.status, row.run, row.attempt) == (model.status, model.run, model.attempt)
            assert 0 <= row.attempt <= row.max_attempts
            assert (row.lease_until is not None) == (row.status in LEASED)
            assert (row.finished_at is not None) == (row.status in TERMINAL)
            unready = (
                model.on is not None
                and self.models[model.on].status != "succeeded"
                and model.status not in TERMINAL
            )
            assert ((job_id, model.on) in waits) == unready

    @invariant()
    def events_tell_a_legal_life_without_gaps(self) -> None:
        with self.database.read() as session:
            rows = session.scalars(select(EventRow).order_by(EventRow.job_id, EventRow.seq)).all()
        for job_id, model in self.models.items():
            mine = [row for row in rows if row.job_id == job_id]
            assert [row.seq for row in mine] == list(range(1, len(mine) + 1))
            told = [row.data["status"] for row in mine if row.type == "state"]
            assert told[0] == "queued"
            assert all(b in MOVES[a] for a, b in itertools.pairwise(told))
            assert told[-1] == model.status
            assert sum(status in TERMINAL for status in told) == model.endings <= 1

    def _everything(self) -> list[object]:
        points = (MetricPointRow, MetricStretchRow)
        tables = (JobRow, EventRow, AttemptRow, ArtifactRow, *points, LogChunkRow)
        with self.database.read() as session:
            return [session.execute(select(table.__table__)).all() for table in tables]


def _target(model: Model, outcome: Outcome) -> JobStatus | None:
    """Where an outcome moves a job that is held; None: its state does not allow it."""
    match outcome:
        case Succeeded():
            return "succeeded"
        case Failed(retry=True) if model.attempt < model.max_attempts:
            return {"running": "queued", "pausing": "paused"}.get(model.status)  # type: ignore[return-value]
        case Failed():
            return None if model.status == "cancelling" else "failed"
        case Cancelled():
            return "cancelled" if model.status == "cancelling" else None
        case Paused():
            return "paused" if model.status == "pausing" else None
        case Released():
            return "queued" if model.status == "running" else None


def _rescued(model: Model) -> JobStatus:
    if model.status == "cancelling":
        return "cancelled"
    if model.attempt >= model.max_attempts:
        return "failed"
    return "paused" if model.status == "pausing" else "queued"


def live(database_url: str, examples: int, steps: int) -> None:
    """Run that many lives on a database."""
    watch = Watch()
    database = Database(database_url, watch)
    machine = type("LifeHere", (Life,), {"database": database, "watch": watch})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        database.close()


@pytest.fixture
def fast_sqlite(sqlite_tables: Path) -> Iterator[str]:
    """In memory, as far as the machine has such a folder: thousands of commits are synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield f"sqlite:///{shutil.copy(sqlite_tables, Path(folder) / 'life.db')}"


def test_any_interleaving_leads_a_job_to_one_legal_end(fast_sqlite: str) -> None:
    live(fast_sqlite, examples=20, steps=30)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_hundred_lives_end_legally(database_url: str) -> None:
    live(database_url, examples=500, steps=60)
