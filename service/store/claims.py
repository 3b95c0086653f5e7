"""How a job gets to a worker and back: claim and rescue. See leases.py for what is between."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    and_,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from service.contract.job_errors import JobError
from service.contract.lifecycle import LEASED, JobStatus
from service.store.artifacts import ArtifactStore
from service.store.limits import alone, running_jobs
from service.store.moves import close_attempt, error_json, move
from service.store.session import dialect_of, now
from service.store.shares import Fitting, Turn, highest_priority, turns
from service.store.sql import spelled_out
from service.store.tables import (
    AttemptRow,
    DependencyRow,
    EventRow,
    JobRow,
)
from service.store.values import Checkpoint, ClaimedJob, ClaimingWorker, Moved

EXCLUSIVE_PATIENCE_S: Final = 300.0
_LONGEST_WAIT_S: Final = 60.0  # twice the longest after a crash


def claim(
    session: Session, worker: ClaimingWorker, lease_s: float, most_running: int | None = None
) -> ClaimedJob | None:
    """Move the best eligible job to `running` for `worker`. None: nothing for it now.

    Best is one of the project with the fewest running jobs, then of the one that was served longest
    ago; within the project the highest priority, then the oldest. A project that runs as many jobs
    as it may, by its own limit or else `most_running`, is passed over.

    One statement finds the row and moves it; on Postgres it passes over rows that others are
    claiming. A worker's slots must claim one after the other, or two of them may not hear of each
    other's exclusive job.
    """
    fitting = _fitting(session, worker)
    if fitting is None:
        return None
    for turn in turns(session, fitting, most_running):
        # Rolled back, it lets go of the project: two that hold one each and want the other's stop.
        with session.begin_nested() as trial:
            row = None
            if turn.most_running is None or _may_run(session, turn):
                row = _take(session, worker, _best(turn.project, fitting), lease_s)
            if row is not None:
                return _claimed(session, row)
            trial.rollback()
    return None


def _take(
    session: Session, worker: ClaimingWorker, job_id: ScalarSelect[str], lease_s: float
) -> JobRow | None:
    moment = now(session)
    row = move(
        session,
        job_id,
        "running",
        {"queued"},
        moment,
        values={
            "run": JobRow.run + 1,
            "attempt": JobRow.attempt + 1,
            "worker_id": worker.id,
            "lease_until": moment + timedelta(seconds=lease_s),
            "error": None,
        },
        data={"worker": worker.id},
    )
    if row is not None:
        session.execute(
            insert(AttemptRow).values(
                job_id=row.id,
                run=row.run,
                attempt=row.attempt,
                worker_id=worker.id,
                started_at=moment,
            )
        )
    return row


def _best(project: str, fitting: Fitting) -> ScalarSelect[str]:
    name = literal(project)
    return (
        select(JobRow.id)
        .where(
            JobRow.project == name,
            JobRow.priority == highest_priority(name, fitting),
            fitting(JobRow),
        )
        .order_by(JobRow.id)
        .limit(1)
        .correlate(None)
        .with_for_update(of=JobRow, skip_locked=True)
        .scalar_subquery()
    )


def _may_run(session: Session, turn: Turn) -> bool:
    """Whether the project runs fewer jobs than it may, for certain until the transaction ends."""
    alone(session, "claim", turn.project)
    return running_jobs(session, turn.project) < (turn.most_running or 0)


def _fitting(session: Session, worker: ClaimingWorker) -> Fitting | None:
    """What the worker may take now; None: nothing, since it times or shall soon."""
    moment = now(session)

    def fits(job: type[JobRow]) -> ColumnElement[bool]:
        covered = and_(_eligible(job, moment), _covered(session, worker.capabilities, job))
        return covered if worker.device == "cuda" else and_(covered, job.device != "cuda")

    if worker.device == "cpu" or worker.slots == 1:
        return fits
    held = select(JobRow.exclusive).where(
        JobRow.worker_id == worker.id, spelled_out(JobRow.status, LEASED)
    )
    beside = list(session.execute(held).scalars())
    if not beside:
        return fits
    if any(beside) or _exclusive_is_overdue(session, fits):
        return None
    return lambda job: and_(fits(job), ~job.exclusive)


def _exclusive_is_overdue(session: Session, fits: Fitting) -> bool:
    """Whether a job that wants a GPU to itself has waited so long that a worker shall make room:
    until then, jobs that can share its slots pass it."""
    before = now(session) - timedelta(seconds=EXCLUSIVE_PATIENCE_S)
    exclusive: ColumnElement[bool] = literal_column(  # as the condition of its index has it
        "jobs.exclusive" if _is_postgres(session) else "jobs.exclusive = 1"
    )
    query = select(JobRow.id).where(fits(JobRow), exclusive, JobRow.queued_at <= before).limit(1)
    return session.execute(query).first() is not None


def _is_postgres(session: Session) -> bool:
    return dialect_of(session) == "postgresql"


def _covered(
    session: Session, capabilities: frozenset[str], job: type[JobRow]
) -> ColumnElement[bool]:
    """Whether the worker has all that the job requires."""
    tokens = sorted(capabilities)
    if _is_postgres(session):
        within: ColumnElement[bool] = type_coerce(job.requires, JSONB).contained_by(tokens)
        return within
    required = func.json_each(job.requires).table_valued("value")
    return ~select(required.c.value).where(required.c.value.not_in(tokens)).exists()


def eligible(session: Session) -> ColumnElement[bool]:
    """Queued, due, and waiting for nothing."""
    return _eligible(JobRow, now(session))


def _eligible(job: type[JobRow], moment: datetime) -> ColumnElement[bool]:
    waits = select(DependencyRow.job_id).where(DependencyRow.job_id == job.id).exists()
    # Nothing is put off for so long: the clock has gone back since it was written.
    beyond = moment + timedelta(seconds=_LONGEST_WAIT_S)
    due = or_(job.next_run_at <= moment, job.next_run_at > beyond)
    return and_(spelled_out(job.status, {"queued"}), due, ~waits)


def _claimed(session: Session, row: JobRow) -> ClaimedJob:
    assert row.lease_until is not None
    return ClaimedJob(
        id=row.id,
        project=row.project,
        kind=row.kind,
        spec=row.spec,
        device=row.device,
        run=row.run,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        timeout_s=row.timeout_s,
        run_seconds=row.run_seconds,
        lease_until=row.lease_until,
        checkpoint=_checkpoint(session, row),
        request_id=row.request_id,
        traceparent=row.traceparent,
    )


def _checkpoint(session: Session, row: JobRow) -> Checkpoint | None:
    """The newest of the job's own, of which a retry has one from its first day."""
    artifact = next(iter(ArtifactStore(session).checkpoints(row.id)), None)
    if artifact is None:
        return None
    return Checkpoint(artifact.id, artifact.sha256, artifact.bytes, artifact.step or 0)


def lapsed(session: Session, limit: int) -> list[tuple[str, int]]:
    """Jobs whose worker was not heard of within its lease, with the run that held them."""
    rows = session.execute(
        select(JobRow.id, JobRow.run)
        .where(spelled_out(JobRow.status, LEASED), JobRow.lease_until < now(session))
        .order_by(JobRow.lease_until)
        .limit(limit)
    ).all()
    return [(job_id, run) for job_id, run in rows]


def rescue(session: Session, job_id: str, run: int) -> Moved | None:
    """Take a job from the worker that was lost. None: it was heard of after all, or is held now.

    Queued again while attempts are left, else failed. A cancel that was under way is complete,
    since nobody works on it any more; so is a pause, while attempts are left to go on with.
    """
    row = session.execute(
        select(JobRow)
        .where(
            JobRow.id == job_id,
            JobRow.run == run,
            spelled_out(JobRow.status, LEASED),
            JobRow.lease_until < now(session),
        )
        # Held by a process that is frozen within its write, it must not hold up the others' rescue.
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {}
    targets: dict[JobStatus, JobStatus] = {"cancelling": "cancelled", "pausing": "paused"}
    target = targets.get(row.status, "queued")
    if target != "cancelled" and row.attempt >= row.max_attempts:
        target = "failed"
        error = JobError.of("worker_lost", f"its workers were lost {row.attempt} times")
        values = {"error": error_json(error)}
    moment = now(session)
    data = {"reason": "worker_lost"}
    moved = move(session, job_id, target, {row.status}, moment, values=values, data=data)
    assert moved is not None, "the row is locked"
    close_attempt(session, moved, moment, values.get("error"))
    return Moved(target)


def terminal_event_seq(session: Session, job_id: str) -> int | None:
    """The number of the event that ended a job; None while it lives."""
    row = session.execute(
        select(JobRow.status, JobRow.event_seq).where(JobRow.id == job_id)
    ).one_or_none()
    if row is None or row[0] in (*LEASED, "queued", "paused"):
        return None
    return session.execute(
        select(func.max(EventRow.seq)).where(EventRow.job_id == job_id, EventRow.type == "state")
    ).scalar_one()
