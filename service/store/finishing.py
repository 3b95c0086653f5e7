"""What a worker writes of the run it holds. Every statement is guarded by the run."""

from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service.contract.lifecycle import LEASED, JobStatus
from service.store import stretches
from service.store.artifacts import ArtifactStore
from service.store.dependencies import break_, resolve
from service.store.model_rows import insert_model
from service.store.moves import close_attempt, error_json, move, tell
from service.store.session import now
from service.store.sql import upsert
from service.store.tables import ArtifactRow, JobRow, LogChunkRow, MetricPointRow
from service.store.types import clean_text
from service.store.values import (
    Cancelled,
    Failed,
    JobProgress,
    Moved,
    NewArtifact,
    NewEvent,
    Outcome,
    Paused,
    Point,
    Released,
    Succeeded,
)

LOG_LIMIT_BYTES: Final = 4 << 20
KEPT_CHECKPOINTS: Final = 2
_POINTS_AT_ONCE: Final = 1000
_BACKOFF_S: Final = (1.0, 5.0, 30.0)
_CUT: Final = b"\n[the log is longer than is kept]\n"


def record(
    session: Session,
    job_id: str,
    run: int,
    *,
    progress: JobProgress | None = None,
    points: Sequence[Point] = (),
    events: Sequence[NewEvent] = (),
    log: bytes = b"",
    waited_s: float = 0.0,
) -> bool:
    """Keep what a run reports. False: it was fenced out, and nothing was written.

    `waited_s` are seconds of this run in which another job had the machine to itself: they count
    as time in the queue, and not towards `timeout_s`.
    """
    held = _hold(session, job_id, run)
    if held is None:
        return False
    log_bytes = held.log_bytes
    values: dict[str, Any] = {}
    if progress is not None:
        values = {
            "progress_step": progress.step,
            "progress_total": progress.total,
            "progress_phase": clean_text(progress.phase),
        }
    if log and log_bytes < LOG_LIMIT_BYTES:
        kept = (
            log
            if log_bytes + len(log) < LOG_LIMIT_BYTES
            else log[: LOG_LIMIT_BYTES - log_bytes] + _CUT
        )
        session.execute(insert(LogChunkRow).values(job_id=job_id, start=log_bytes, data=kept))
        values["log_bytes"] = log_bytes + len(kept)
    if waited_s > 0:  # below zero in between: the run's own seconds are added when it ends
        values["run_seconds"] = JobRow.run_seconds - waited_s
        values["queue_seconds"] = JobRow.queue_seconds + waited_s
    if values:
        _set(session, job_id, values)
    _keep_points(session, job_id, points)
    tell(session, job_id, events)
    return True


def _keep_points(session: Session, job_id: str, points: Sequence[Point]) -> None:
    """In parts: a statement has 65,535 parameters at most and half a minute of time, and what
    gathered while the database was away for hours would be refused for ever."""
    moment = now(session)
    latest = {(point.name, point.step): point for point in points}  # one row a key and statement
    keys = list(latest)
    for start in range(0, len(keys), _POINTS_AT_ONCE):
        part = [latest[key] for key in keys[start : start + _POINTS_AT_ONCE]]
        upsert(
            session,
            MetricPointRow,
            [
                {"job_id": job_id, "name": p.name, "step": p.step, "value": p.value, "at": moment}
                for p in part
            ],
        )
        stretches.renew(session, job_id, [(point.name, point.step) for point in part])


def add_checkpoint(session: Session, job_id: str, run: int, artifact: NewArtifact) -> bool:
    """Keep a checkpoint, and of the older ones only the newest. False: fenced out."""
    held = _hold(session, job_id, run)
    if held is None:
        return False
    insert_artifact(session, job_id, held.project, artifact)
    old = ArtifactStore(session).checkpoints(job_id)[KEPT_CHECKPOINTS:]
    session.execute(delete(ArtifactRow).where(ArtifactRow.id.in_([row.id for row in old])))
    told = {"id": artifact.id, "step": artifact.step, "bytes": artifact.bytes}
    tell(session, job_id, [NewEvent("checkpoint", told)])
    return True


def finish(session: Session, job_id: str, run: int, outcome: Outcome) -> Moved | None:
    """Write how a run ended, all of it or nothing. None: fenced out, or its state forbids it."""
    held = _hold(session, job_id, run)
    if held is None:
        return None
    moment = now(session)
    match outcome:
        case Succeeded():
            return _succeed(session, held, outcome, moment)
        case Failed():
            return _fail(session, held, outcome, moment)
        case Cancelled():
            moved = _end(session, held, "cancelled", {"cancelling"}, moment)
            if moved is not None:
                break_(session, job_id, moment)
            return moved
        case Paused():
            values: dict[str, Any] = {"attempt": JobRow.attempt - 1}
            return _end(session, held, "paused", {"pausing"}, moment, values)
        case Released():
            values = {"attempt": JobRow.attempt - 1, "next_run_at": moment}
            return _end(session, held, "queued", {"running"}, moment, values, {"reason": "drain"})
        case _:
            assert_never(outcome)


def _end(
    session: Session,
    held: JobRow,
    target: JobStatus,
    sources: Set[JobStatus],
    moment: datetime,
    values: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> Moved | None:
    row = move(session, held.id, target, sources, moment, values=values, data=data)
    if row is None:
        return None
    close_attempt(session, row, moment, row.error)
    return Moved(target)


def _succeed(session: Session, held: JobRow, outcome: Succeeded, moment: datetime) -> Moved | None:
    values = {
        "result": dict(outcome.result),
        "metrics": dict(outcome.metrics),
        "model_id": outcome.models[0].id if outcome.models else None,
        "error": None,
    }
    sources: Set[JobStatus] = {"running", "cancelling", "pausing"}
    moved = _end(session, held, "succeeded", sources, moment, values)
    assert moved is not None, "the row is locked and leased"
    for model in outcome.models:
        insert_model(session, held.project, model, job_id=held.id)
    for artifact in outcome.artifacts:
        insert_artifact(session, held.id, held.project, artifact)
    return Moved("succeeded", resolve(session, held.id))


def _fail(session: Session, held: JobRow, outcome: Failed, moment: datetime) -> Moved | None:
    error = error_json(outcome.error)
    if outcome.retry and held.attempt < held.max_attempts:
        if held.status == "pausing":
            return _end(session, held, "paused", {"pausing"}, moment, {"error": error})
        wait_s = _BACKOFF_S[min(held.attempt, len(_BACKOFF_S)) - 1]
        values = {"next_run_at": moment + timedelta(seconds=wait_s), "error": error}
        data: dict[str, Any] = {"reason": outcome.error.code, "message": outcome.error.message}
        return _end(session, held, "queued", {"running"}, moment, values, data)
    moved = _end(
        session, held, "failed", {"running", "pausing"}, moment, {"error": error}, {"error": error}
    )
    if moved is not None:
        break_(session, held.id, moment)
    return moved


def insert_artifact(session: Session, job_id: str, project: str, artifact: NewArtifact) -> None:
    """A row for a file that is already among the blobs."""
    session.execute(
        insert(ArtifactRow).values(
            id=artifact.id,
            job_id=job_id,
            project=project,
            name=artifact.name,
            kind=artifact.kind,
            media_type=artifact.media_type,
            bytes=artifact.bytes,
            sha256=artifact.sha256,
            step=artifact.step,
            created_at=now(session),
        )
    )


def _hold(session: Session, job_id: str, run: int) -> JobRow | None:
    """The job's row, locked until the end of the transaction, if the run still has it."""
    return session.execute(
        select(JobRow)
        .where(JobRow.id == job_id, JobRow.run == run, JobRow.status.in_(sorted(LEASED)))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def _set(session: Session, job_id: str, values: dict[str, Any]) -> None:
    session.execute(
        update(JobRow)
        .where(JobRow.id == job_id)
        .values(values)
        .execution_options(synchronize_session=False)
    )
