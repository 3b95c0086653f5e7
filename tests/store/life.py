"""The store beside the model of `life_model.py`: three workers, a sweep, and a clock that is ours.

Hypothesis interleaves what people, workers and sweepers do. Workers freeze, wake and go on writing
with a run that is no longer theirs; each such write must change nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from service.contract.lifecycle import TERMINAL
from service.store.errors import Conflict, InvalidMove
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.values import (
    ClaimingWorker,
    JobProgress,
    NewArtifact,
    NewEvent,
    NewJob,
    Outcome,
    Point,
    Succeeded,
)
from tests.store.conftest import Watch
from tests.store.life_checks import Checked, act
from tests.store.life_model import CRASHED, OUTCOMES, Job, World, fitting
from tests.store.samples import LEASE_S, SHA, checkpoint, model

WORKERS: Final = tuple(ClaimingWorker(f"wrk_{n:026}", "cpu", frozenset()) for n in range(3))
WHICH: Final = st.integers(0, 3)
BACK: Final = st.sampled_from([0, 0, 0, 1, 2])


class Life(Checked):
    """One database, three workers that may sleep through their leases."""

    # People

    @act(
        lambda world: len(world.jobs) < 4,
        project=st.sampled_from("ppq"),
        priority=st.sampled_from([0, 0, 5]),
        attempts=st.sampled_from([1, 1, 2, 3]),
    )
    def submit(self, project: str, priority: int, attempts: int) -> None:
        self._submit(project, priority, attempts, None)

    @act(lambda world: 0 < len(world.jobs) < 4, on=WHICH, attempts=st.integers(1, 2))
    def submit_dependent(self, on: int, attempts: int) -> None:
        needed = self._job(on)
        self._submit(needed.project, 0, attempts, needed.id)

    def _submit(self, project: str, priority: int, attempts: int, on: str | None) -> None:
        job = NewJob(
            *(project, "train", {}),
            priority=priority,
            max_attempts=attempts,
            references=(on,) if on else (),
            id=f"job_{next(self.numbers):026}",
        )
        with self.database.transaction() as session:
            JobStore(session).add(job)
        self.world.add(Job(job.id, project, on, priority, attempts, due=self.world.now))

    def _job(self, which: int) -> Job:
        jobs = list(self.world.jobs.values())
        return jobs[which % len(jobs)]

    @act(
        lambda world: world.jobs,
        which=st.integers(0, 7),
        verb=st.sampled_from(["cancel", "pause", "pause", "resume", "resume"]),
    )
    def ask(self, which: int, verb: str) -> None:
        choice = [*self.world.held(), *self.world.jobs.values()]  # rather those that run
        job = choice[which % len(choice)]
        granted = self.world.ask(job, verb)
        with _refused(None if granted else InvalidMove), self.database.transaction() as session:
            jobs = JobStore(session)
            asked = {
                "cancel": jobs.request_cancel,
                "pause": jobs.request_pause,
                "resume": jobs.resume,
            }
            asked[verb](job.id, job.project)

    @act(lambda world: world.jobs, which=WHICH)
    def forget(self, which: int) -> None:
        job = self._job(which)
        used = Conflict if self.world.users(job) else None
        refusal = used if job.status in TERMINAL else InvalidMove
        with _refused(refusal), self.database.transaction() as session:
            JobStore(session).delete(job.id, job.project)
        if refusal is None:
            del self.world.jobs[job.id]

    # Workers

    @act(
        lambda _: True,
        worker=st.sampled_from(WORKERS),
        most_running=st.sampled_from([None, None, 1, 2]),
    )
    def claim(self, worker: ClaimingWorker, most_running: int | None) -> None:
        with self.database.transaction() as session:
            claimed = JobStore(session).claim(worker, LEASE_S, most_running)
        job = self.world.next(most_running)
        assert (claimed and claimed.id) == (job and job.id)
        if claimed is None or job is None:
            return
        self.world.claim(job, worker.id, LEASE_S)
        assert (claimed.run, claimed.attempt) == (len(job.runs), job.attempt)
        at = claimed.checkpoint and claimed.checkpoint.step
        assert at == (job.checkpoints[0][1] if job.checkpoints else None)

    def _run(self, which: int, back: int) -> tuple[Job, int]:
        """A run that there was: a job's newest, or some before it."""
        jobs = self.world.started()
        job = jobs[which % len(jobs)]
        return job, max(1, len(job.runs) - back)

    def _held(self, which: int) -> Job:
        held = self.world.held()
        return held[which % len(held)]

    @act(World.started, weight=2, which=WHICH, back=BACK, by=st.none() | st.sampled_from(WORKERS))
    def beat(self, which: int, back: int, by: ClaimingWorker | None) -> None:
        job, run = self._run(which, back)
        self._beat(job, run, job.workers[run - 1] if by is None else by.id)

    def _beat(self, job: Job, run: int, worker_id: str) -> None:
        with self.database.transaction() as session:
            heard = JobStore(session).heartbeat(worker_id, [(job.id, run)], LEASE_S)
        if job.is_held_by(run) and worker_id == job.workers[-1]:
            assert heard == {job.id: job.status}
            job.lease_until = self.world.now + LEASE_S
        else:
            assert heard == {job.id: None}

    @act(World.started, weight=2, which=WHICH, back=BACK, step=st.integers(1, 5))
    def report(self, which: int, back: int, step: int) -> None:
        self._report(*self._run(which, back), step)

    def _report(self, job: Job, run: int, step: int) -> None:
        before = self.everything()
        with self.database.transaction() as session:
            jobs = JobStore(session)
            ours = jobs.record(
                *(job.id, run),
                progress=JobProgress(step, 5, "training"),
                points=[Point("loss", step, 1.0)],
                events=[NewEvent("epoch", {"run": run})],
                log=b"x",
            )
            kept = jobs.add_checkpoint(job.id, run, checkpoint(step))
        assert ours == kept == job.is_held_by(run)
        if ours:
            job.keep_checkpoint(self.world.now, step)
        else:
            assert self.everything() == before

    @act(World.started, weight=2, which=WHICH, back=BACK, outcome=st.sampled_from(OUTCOMES))
    def finish(self, which: int, back: int, outcome: Outcome) -> None:
        self._finish(*self._run(which, back), outcome)

    @act(World.held, weight=4, which=WHICH, outcome=WHICH)
    def finish_as_its_state_allows(self, which: int, outcome: int) -> None:
        job = self._held(which)
        outcomes = fitting(job)
        self._finish(job, len(job.runs), outcomes[outcome % len(outcomes)])

    @act(
        World.held,
        weight=4,
        which=WHICH,
        pause=st.sampled_from([0.5, 1.0, 5.0, 30.0]),
        by=st.sampled_from(WORKERS),
    )
    def crash(self, which: int, pause: float, by: ClaimingWorker) -> None:
        """And a while later, before or after it may be tried again, a worker asks for work."""
        job = self._held(which)
        self._finish(job, len(job.runs), CRASHED)
        self.wait(pause)
        self.claim(by, None)

    def _finish(self, job: Job, run: int, outcome: Outcome) -> None:
        before = self.everything()
        if isinstance(outcome, Succeeded):  # with ids of its own: none can be stored twice
            file = NewArtifact("model.onnx", "export", "application/octet-stream", SHA["c"], 10)
            outcome = Succeeded({"run": run}, artifacts=(file,), models=(model(),))
        with self.database.transaction() as session:
            moved = JobStore(session).finish(job.id, run, outcome)
        target = self.world.finish(job, outcome) if job.is_held_by(run) else None
        assert (moved and moved.status) == target
        if moved is None:
            assert self.everything() == before
            return
        free = [user.id for user in self.world.users(job) if user.status == "queued"]
        assert list(moved.unblocked) == (free if target == "succeeded" else [])

    @act(
        World.held,
        weight=4,
        which=WHICH,
        by=st.sampled_from(WORKERS),
        outcome=st.sampled_from(OUTCOMES),
    )
    def overtake(self, which: int, by: ClaimingWorker, outcome: Outcome) -> None:
        """It sleeps through its lease, wakes when the job runs elsewhere, and goes on writing."""
        job = self._held(which)
        run = len(job.runs)
        self.sweep(LEASE_S + 1)
        self.claim(by, None)
        self._beat(job, run, job.workers[run - 1])
        self._report(job, run, 1)
        self._finish(job, run, outcome)

    # Time

    @act(lambda _: True, seconds=st.sampled_from([0.5, 1.0, 4.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.watch.pass_(seconds)
        self.world.now += seconds

    @act(World.held, silence=st.sampled_from([0.0, LEASE_S, LEASE_S + 1, LEASE_S + 1]))
    def sweep(self, silence: float) -> None:
        self.wait(silence)
        with self.database.transaction() as session:
            found = set(JobStore(session).lapsed(100))
        assert found == self.world.lapsed()
        for job_id, run in sorted(found):
            with self.database.transaction() as session:
                moved = JobStore(session).rescue(job_id, run)
            assert (moved and moved.status) == self.world.rescue(self.world.jobs[job_id])

    @act(World.started, weight=2, which=WHICH, back=BACK)
    def rescue_what_was_heard_of_after_all(self, which: int, back: int) -> None:
        """Another sweep found it lapsed, and its worker's heartbeat came first."""
        job, run = self._run(which, back)
        if (job.id, run) not in self.world.lapsed():  # else `sweep` has it
            self._rescue_in_vain(job, run)

    @act(World.held, weight=4, which=WHICH, by=st.sampled_from(WORKERS))
    def rescue_by_an_old_list(self, which: int, by: ClaimingWorker) -> None:
        """A sweep that was asleep has a run that another swept; the next run was lost too."""
        job = self._held(which)
        run = len(job.runs)
        self.sweep(LEASE_S + 1)
        self.claim(by, None)
        self.wait(LEASE_S + 1)
        self._rescue_in_vain(job, run)

    def _rescue_in_vain(self, job: Job, run: int) -> None:
        before = self.everything()
        with self.database.transaction() as session:
            assert JobStore(session).rescue(job.id, run) is None
        assert self.everything() == before


@contextmanager
def _refused(expected: type[Exception] | None) -> Iterator[None]:
    refusal: type[Exception] | None = None
    try:
        yield
    except (InvalidMove, Conflict) as error:
        refusal = type(error)
    assert refusal == expected


def live(database_url: str, examples: int = 10, steps: int = 150, *, shrinks: bool = True) -> None:
    """Run that many lives on a database. Raises what the first bad one raised.

    After ten, five of six are earlier ones with a part repeated: rather few lives and long ones.
    """
    watch = Watch()
    database = Database(database_url, watch)
    machine = type("LifeHere", (Life,), {"database": database, "watch": watch})
    found = (Phase.explicit, Phase.generate)
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                database=None,
                phases=(*found, Phase.shrink) if shrinks else found,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        database.close()
