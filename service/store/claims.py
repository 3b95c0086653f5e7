"""How a job gets to a worker and back: claim, lease, rescue."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    and_,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from service.contract.job_errors import JobError
from service.contract.lifecycle import LEASED, JobStatus
from service.store.artifacts import ArtifactStore
from service.store.moves import close_attempt, error_json, move
from service.store.session import dialect_of, now
from service.store.sql import spelled_out
from service.store.tables import (
    AttemptRow,
    DependencyRow,
    EventRow,
    JobRow,
    WorkerRow,
)
from service.store.values import Checkpoint, ClaimedJob, ClaimingWorker, Moved


def claim(session: Session, worker: ClaimingWorker, lease_s: float) -> ClaimedJob | None:
    """Move the best eligible job to `running` for `worker`. None: nothing for it now.

    Best is the highest priority, then the project with the fewest running jobs, then the oldest.
    One statement finds and moves it; on Postgres it passes over rows that others are claiming.
    """
    moment = now(session)
    row = move(
        session,
        _best(session, worker),
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
    if row is None:
        return None
    session.execute(
        insert(AttemptRow).values(
            job_id=row.id,
            run=row.run,
            attempt=row.attempt,
            worker_id=worker.id,
            started_at=moment,
        )
    )
    return _claimed(session, row)


def _best(session: Session, worker: ClaimingWorker) -> ScalarSelect[str]:
    other = aliased(JobRow)
    running = (
        select(func.count())
        .select_from(other)
        .where(other.project == JobRow.project, spelled_out(other.status, LEASED))
        .correlate(JobRow)
        .scalar_subquery()
    )
    query = (
        select(JobRow.id)
        .where(eligible(session), _covered(session, worker.capabilities))
        .order_by(JobRow.priority.desc(), running, JobRow.id)
        .limit(1)
        .correlate(None)
        .with_for_update(of=JobRow, skip_locked=True)
    )
    if worker.device == "cpu":
        query = query.where(JobRow.device != "cuda")
    return query.scalar_subquery()


def _covered(session: Session, capabilities: frozenset[str]) -> ColumnElement[bool]:
    """Whether the worker has all that the job requires."""
    tokens = sorted(capabilities)
    if dialect_of(session) == "postgresql":
        within: ColumnElement[bool] = type_coerce(JobRow.requires, JSONB).contained_by(tokens)
        return within
    required = func.json_each(JobRow.requires).table_valued("value")
    return ~select(required.c.value).where(required.c.value.not_in(tokens)).exists()


def eligible(session: Session) -> ColumnElement[bool]:
    """Queued, due, and waiting for nothing."""
    waits = select(DependencyRow.job_id).where(DependencyRow.job_id == JobRow.id).exists()
    return and_(spelled_out(JobRow.status, {"queued"}), JobRow.next_run_at <= now(session), ~waits)


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
    )


def _checkpoint(session: Session, row: JobRow) -> Checkpoint | None:
    """The newest of the job's own, of which a retry has one from its first day."""
    artifact = next(iter(ArtifactStore(session).checkpoints(row.id)), None)
    if artifact is None:
        return None
    return Checkpoint(artifact.id, artifact.sha256, artifact.bytes, artifact.step or 0)


def heartbeat(
    session: Session, worker_id: str, leases: Sequence[tuple[str, int]], lease_s: float
) -> dict[str, JobStatus | None]:
    """Extend the leases. For each job its status, or None where the run is another's now."""
    if not leases:
        return {}
    held = or_(*(and_(JobRow.id == job_id, JobRow.run == run) for job_id, run in leases))
    rows = session.execute(
        update(JobRow)
        .where(held, JobRow.worker_id == worker_id, spelled_out(JobRow.status, LEASED))
        .values(lease_until=now(session) + timedelta(seconds=lease_s))
        .returning(JobRow.id, JobRow.status)
        .execution_options(synchronize_session=False)
    )
    found: dict[str, JobStatus | None] = dict.fromkeys(job_id for job_id, _ in leases)
    found.update(rows.all())
    return found


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
    """Take a job from the worker that was lost. None: it was heard of after all.

    Queued again while attempts are left, else failed. A cancel or pause that was under way is
    complete, since nobody works on it any more.
    """
    row = session.execute(
        select(JobRow)
        .where(
            JobRow.id == job_id,
            JobRow.run == run,
            spelled_out(JobRow.status, LEASED),
            JobRow.lease_until < now(session),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {}
    targets: dict[JobStatus, JobStatus] = {"cancelling": "cancelled", "pausing": "paused"}
    target = targets.get(row.status, "queued")
    if target == "queued" and row.attempt >= row.max_attempts:
        target = "failed"
        error = JobError.of("worker_lost", f"its workers were lost {row.attempt} times")
        values = {"error": error_json(error)}
    moment = now(session)
    data = {"reason": "worker_lost"}
    moved = move(session, job_id, target, {row.status}, moment, values=values, data=data)
    assert moved is not None, "the row is locked"
    close_attempt(session, moved, moment, values.get("error"))
    return Moved(target)


def nudgeable(session: Session, limit: int, older_than_s: float) -> list[tuple[str, str]]:
    """Eligible jobs that wait longer than that, best first: (id, device)."""
    before = now(session) - timedelta(seconds=older_than_s)
    rows = session.execute(
        select(JobRow.id, JobRow.device)
        .where(eligible(session), JobRow.queued_at <= before)
        .order_by(JobRow.priority.desc(), JobRow.id)
        .limit(limit)
    ).all()
    return [(job_id, device) for job_id, device in rows]


def oldest_queued_s(session: Session, project: str | None) -> float | None:
    """Age of the oldest eligible job, of one project or of all."""
    query = select(func.min(JobRow.queued_at)).where(eligible(session))
    if project is not None:
        query = query.where(JobRow.project == project)
    oldest = session.execute(query).scalar_one()
    return None if oldest is None else max(0.0, (now(session) - oldest).total_seconds())


def waiting_for(session: Session, row: JobRow, alive_within_s: float) -> list[str]:
    """Why a queued job does not run: what it waits for, or what no worker alive has."""
    if row.status != "queued":
        return []
    on = session.execute(
        select(DependencyRow.on_id)
        .where(DependencyRow.job_id == row.id)
        .order_by(DependencyRow.on_id)
    ).scalars()
    reasons = list(on)
    since = now(session) - timedelta(seconds=alive_within_s)
    workers = (
        session.execute(select(WorkerRow).where(WorkerRow.seen_at >= since, ~WorkerRow.draining))
        .scalars()
        .all()
    )
    if not workers:
        return [*reasons, "a worker"]
    if any(_serves(worker, row) for worker in workers):
        return reasons
    if row.device == "cuda" and all(worker.device != "cuda" for worker in workers):
        return [*reasons, "a worker with a CUDA device"]
    have = set().union(*(worker.tokens for worker in workers))
    missing = sorted(set(row.requires) - have) or sorted(row.requires)
    return [*reasons, *(f"a worker with {token.replace(':', ' ', 1)}" for token in missing)]


def _serves(worker: WorkerRow, row: JobRow) -> bool:
    fits = row.device != "cuda" or worker.device == "cuda"
    return fits and set(row.requires) <= set(worker.tokens)


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
