"""What becomes of jobs, by the rules of docs/job-states.md alone: no row, no SQL, seconds for time.

The model beside which `life.py` runs the store.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from service.contract.lifecycle import LEASED, MOVES, TERMINAL, JobStatus
from service.store.values import Cancelled, Failed, Outcome, Paused, Released, Succeeded
from tests.store.samples import CRASH

BROKEN: Final = ("failed", "cancelled")
BACKOFF_S: Final = (1.0, 5.0, 30.0)
CHECKPOINTS: Final = 2
GIVEN_BACK: Final = (Paused, Released)
CRASHED: Final = Failed(CRASH, retry=True)
OUTCOMES: Final[Sequence[Outcome]] = (
    Succeeded({}),
    Failed(CRASH),
    CRASHED,
    Cancelled(),
    Paused(),
    Released(),
)

# what people ask for, and what becomes of it; a state that is missing refuses
ASKED: Final[dict[str, dict[JobStatus, JobStatus]]] = {
    "cancel": {
        "queued": "cancelled", "paused": "cancelled",
        "running": "cancelling", "pausing": "cancelling",
        "cancelling": "cancelling", "cancelled": "cancelled",
    },
    "pause": {"queued": "paused", "running": "pausing", "pausing": "pausing", "paused": "paused"},
    "resume": {"paused": "queued"},
}  # fmt: skip


@dataclass
class Job:
    """One job. `runs` has how each run ended (None: it has not), `workers` who had it."""

    id: str
    project: str
    on: str | None
    priority: int
    max_attempts: int
    due: float
    status: JobStatus = "queued"
    attempt: int = 0
    runs: list[JobStatus | None] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    lease_until: float = 0.0
    started_at: float | None = None
    checkpoints: list[tuple[float, int]] = field(default_factory=list)
    error: str | None = None

    def go(self, target: JobStatus) -> None:
        """Moves, and ends its run if nobody holds it after."""
        assert target in MOVES[self.status]
        if self.status in LEASED and target not in LEASED:
            self.runs[-1] = target
        self.status = target

    def is_held_by(self, run: int) -> bool:
        return len(self.runs) == run and self.status in LEASED

    def keep_checkpoint(self, at: float, step: int) -> None:
        self.checkpoints = sorted([*self.checkpoints, (at, step)], reverse=True)[:CHECKPOINTS]


class World:
    """All jobs, and the time."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.now = 0.0

    def add(self, job: Job) -> None:
        self.jobs[job.id] = job
        if job.on is not None and self.jobs[job.on].status in BROKEN:
            job.go("failed")
            job.error = "dependency_failed"

    def waits(self, job: Job) -> bool:
        """Whether another job must succeed first."""
        return (
            job.on is not None
            and job.status not in TERMINAL
            and self.jobs[job.on].status != "succeeded"
        )

    def users(self, job: Job) -> list[Job]:
        """The jobs that named it and are not over."""
        return [
            user for user in self.jobs.values() if user.on == job.id and user.status not in TERMINAL
        ]

    def held(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.status in LEASED]

    def started(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.runs]

    def next(self, most_running: int | None) -> Job | None:
        """Whose turn it is: the project with the fewest running jobs, then the one served longest
        ago; of its jobs the highest priority, then the oldest."""
        best: dict[str, Job] = {}
        for job in sorted(self.jobs.values(), key=lambda job: (-job.priority, job.id)):
            if job.status == "queued" and job.due <= self.now and not self.waits(job):
                best.setdefault(job.project, job)
        running = Counter(job.project for job in self.held())
        may = [
            job
            for job in best.values()
            if most_running is None or running[job.project] < most_running
        ]
        return min(
            may, key=lambda job: (running[job.project], self._served(job), job.id), default=None
        )

    def _served(self, job: Job) -> float:
        starts = [
            other.started_at
            for other in self.jobs.values()
            if other.project == job.project and other.started_at is not None
        ]
        return max(starts, default=-1.0)

    def claim(self, job: Job, worker_id: str, lease_s: float) -> None:
        job.go("running")
        job.workers.append(worker_id)
        job.runs.append(None)
        job.attempt += 1
        job.lease_until = self.now + lease_s
        job.started_at = self.now if job.started_at is None else job.started_at
        job.error = None

    def ask(self, job: Job, verb: str) -> bool:
        """False: its state refuses."""
        target = ASKED[verb].get(job.status)
        if target is None:
            return False
        if target != job.status:
            job.go(target)
            job.due = self.now if target == "queued" else job.due
            self._settle(job)
        return True

    def finish(self, job: Job, outcome: Outcome) -> JobStatus | None:
        """None: its state forbids it."""
        target = _target(job, outcome)
        if target is None:
            return None
        job.go(target)
        if isinstance(outcome, Failed):
            job.error = outcome.error.code
        elif isinstance(outcome, Succeeded):
            job.error = None
        if target == "queued":
            crashed = isinstance(outcome, Failed)
            job.due = self.now + (BACKOFF_S[job.attempt - 1] if crashed else 0.0)
        job.attempt -= isinstance(outcome, GIVEN_BACK)
        self._settle(job)
        return target

    def lapsed(self) -> set[tuple[str, int]]:
        return {(job.id, len(job.runs)) for job in self.held() if job.lease_until < self.now}

    def rescue(self, job: Job) -> JobStatus:
        if job.status == "cancelling":
            job.go("cancelled")
        elif job.attempt >= job.max_attempts:
            job.go("failed")
            job.error = "worker_lost"
        else:
            job.go("paused" if job.status == "pausing" else "queued")
        self._settle(job)
        return job.status

    def _settle(self, job: Job) -> None:
        """Who waited for a job that will never succeed has failed with it."""
        if job.status not in BROKEN:
            return
        for user in self.users(job):
            if user.status == "paused":
                user.go("queued")
            user.go("failed")
            user.error = "dependency_failed"
            self._settle(user)


def _target(job: Job, outcome: Outcome) -> JobStatus | None:
    """Where an outcome moves a job that is held."""
    match outcome:
        case Succeeded():
            return "succeeded"
        case Failed(retry=True) if job.attempt < job.max_attempts:
            return _one_of(job, {"running": "queued", "pausing": "paused"})
        case Failed():
            return _one_of(job, {"running": "failed", "pausing": "failed"})
        case Cancelled():
            return _one_of(job, {"cancelling": "cancelled"})
        case Paused():
            return _one_of(job, {"pausing": "paused"})
        case Released():
            return _one_of(job, {"running": "queued"})


def _one_of(job: Job, targets: dict[JobStatus, JobStatus]) -> JobStatus | None:
    return targets.get(job.status)


def fitting(job: Job) -> list[Outcome]:
    """The outcomes that its state allows."""
    return [outcome for outcome in OUTCOMES if _target(job, outcome) is not None]
