"""Every change of a job's state: one compare-and-set statement and one event."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ScalarSelect, case, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from service.contract.job_errors import JobError
from service.contract.lifecycle import LEASED, TERMINAL, JobStatus, sources_of
from service.store.errors import NotFound
from service.store.outbox import job_ended
from service.store.session import now as clock
from service.store.sql import seconds_between
from service.store.tables import (
    AttemptRow,
    DependencyRow,
    EventRow,
    JobRow,
)
from service.store.types import UtcDateTime
from service.store.values import NewEvent

FRESH: Final = {"populate_existing": True, "synchronize_session": False}


def move(
    session: Session,
    job_id: str | ScalarSelect[str],
    target: JobStatus,
    sources: Set[JobStatus],
    now: datetime,
    *,
    values: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> JobRow | None:
    """Move a job to `target` if it is in one of `sources`, and write the `state` event and, of its
    end, what others are to be told.

    Keeps the clocks (queue and run seconds) and the lease in step with the state. `values` are
    further columns, `data` goes into the event. None: it was in another state, or not there.
    """
    assert sources <= sources_of(target), f"{sorted(sources)} -> {target} is no legal move"
    row = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.status.in_(sources))
        .values(
            {
                "status": target,
                "event_seq": JobRow.event_seq + 1,
                **_clocks(target, now),
                **(values or {}),
            }
        )
        .returning(JobRow)
        .execution_options(**FRESH)
    ).scalar_one_or_none()
    if row is None:
        return None
    if row.status in TERMINAL:
        session.execute(delete(DependencyRow).where(DependencyRow.job_id == row.id))
    add_events(session, row, [NewEvent("state", {"status": target, **(data or {})})], now)
    if row.status in TERMINAL:
        job_ended(session, row, now)
    return row


def _clocks(target: JobStatus, now: datetime) -> dict[str, Any]:
    at = literal(now, UtcDateTime())
    waited = case(
        (JobRow.status == "queued", seconds_between(JobRow.queued_at, at)),
        else_=0.0,
    )
    values: dict[str, Any] = {"queue_seconds": JobRow.queue_seconds + waited}
    if target == "running":
        values["run_started_at"] = now
        values["started_at"] = func.coalesce(JobRow.started_at, at)
    if target not in LEASED:
        ran = case(
            (JobRow.run_started_at.is_not(None), seconds_between(JobRow.run_started_at, at)),
            else_=0.0,
        )
        values["run_seconds"] = JobRow.run_seconds + ran
        values["run_started_at"] = None
        values["lease_until"] = None
    if target == "queued":
        values["queued_at"] = now
    if target in TERMINAL:
        values["finished_at"] = now
    return values


def add_events(session: Session, job: JobRow, events: Sequence[NewEvent], now: datetime) -> None:
    """Write the newest events of a job, whose `event_seq` has been raised by as many."""
    first = job.event_seq - len(events) + 1
    if events:
        session.execute(
            insert(EventRow),
            [
                {
                    "job_id": job.id,
                    "project": job.project,
                    "seq": first + index,
                    "type": event.type,
                    "data": dict(event.data),
                    "created_at": now,
                }
                for index, event in enumerate(events)
            ],
        )


def close_attempt(
    session: Session, job: JobRow, now: datetime, error: dict[str, Any] | None = None
) -> None:
    """Write down how the job's present run ended."""
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.job_id == job.id, AttemptRow.run == job.run)
        .values(ended_at=now, outcome=job.status, error=error)
        .execution_options(synchronize_session=False)
    )


def tell(session: Session, job_id: str, events: Sequence[NewEvent]) -> None:
    """Write events of a job that is there, and held."""
    if events:
        row = session.execute(
            update(JobRow)
            .where(JobRow.id == job_id)
            .values(event_seq=JobRow.event_seq + len(events))
            .returning(JobRow)
            .execution_options(**FRESH)
        ).scalar_one()
        add_events(session, row, events, clock(session))


def held(session: Session, job_id: str) -> JobRow | None:
    """The job, held until the transaction ends; None if it is not there."""
    return session.execute(
        select(JobRow)
        .where(JobRow.id == job_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def locked(session: Session, job_id: str, project: str | None = None) -> JobRow:
    """As `held`. NotFound if it is not there."""
    row = held(session, job_id)
    if row is None or (project is not None and row.project != project):
        raise NotFound("job", job_id)
    return row


def error_json(error: JobError) -> dict[str, Any]:
    """An error as a row keeps it."""
    return error.model_dump(mode="json")
