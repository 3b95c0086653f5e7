"""What has been kept long enough. Each call does a batch, within one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, select, update
from sqlalchemy.orm import Session, aliased

from service.contract.lifecycle import TERMINAL
from service.store.tables import (
    ArtifactRow,
    EventRow,
    JobRow,
    LogChunkRow,
    MetricPointRow,
    MetricStretchRow,
    ReferenceRow,
)


def forget_jobs(session: Session, before: datetime, limit: int) -> int:
    """Delete jobs that ended before, but those that a job which is not over refers to. Returns how
    many; what they left goes with them, but the models."""
    user = aliased(JobRow)
    is_used = (
        select(ReferenceRow.on_id)
        .join(user, user.id == ReferenceRow.job_id)
        .where(ReferenceRow.on_id == JobRow.id, user.status.not_in(sorted(TERMINAL)))
        .exists()
    )
    # held before the look at who uses them: whoever begins to, holds them too
    query = select(JobRow.id).where(_ended(before), ~is_used).order_by(JobRow.finished_at)
    held = session.scalars(query.limit(limit).with_for_update(of=JobRow, skip_locked=True)).all()
    gone = session.execute(
        delete(JobRow)
        .where(JobRow.id.in_(held), ~is_used)
        .returning(JobRow.id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone)


def forget_checkpoints(session: Session, before: datetime, limit: int) -> int:
    """Of jobs that ended before: only a retry of them goes on from one."""
    old = _of_ended(select(ArtifactRow.id), ArtifactRow.job_id, before).where(
        ArtifactRow.kind == "checkpoint"
    )
    return _delete(session, ArtifactRow, ArtifactRow.id, session.scalars(old.limit(limit)).all())


def forget_events(session: Session, before: datetime, limit: int) -> int:
    """Of jobs that ended before; changes of state are kept, which tell what became of a job."""
    old = _of_ended(select(EventRow.id), EventRow.job_id, before).where(EventRow.type != "state")
    return _delete(session, EventRow, EventRow.id, session.scalars(old.limit(limit)).all())


def forget_metrics(session: Session, before: datetime, limit: int) -> int:
    """The series of at most `limit` jobs that ended before; `JobRow.metrics` is kept."""
    has = select(MetricPointRow.job_id).where(MetricPointRow.job_id == JobRow.id).exists()
    old = session.scalars(select(JobRow.id).where(_ended(before), has).limit(limit)).all()
    _delete(session, MetricStretchRow, MetricStretchRow.job_id, old)
    return _delete(session, MetricPointRow, MetricPointRow.job_id, old)


def forget_logs(session: Session, before: datetime, limit: int) -> int:
    """The text of at most `limit` jobs that ended before."""
    old = session.scalars(
        select(JobRow.id).where(_ended(before), JobRow.log_bytes > 0).limit(limit)
    ).all()
    session.execute(
        update(JobRow)
        .where(JobRow.id.in_(old))
        .values(log_bytes=0)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(LogChunkRow)
        .where(LogChunkRow.job_id.in_(old))
        .execution_options(synchronize_session=False)
    )
    return len(old)


def _ended(before: datetime) -> ColumnElement[bool]:
    return and_(JobRow.finished_at < before, JobRow.status.in_(sorted(TERMINAL)))


def _of_ended(query: Select[Any], job_id: Any, before: datetime) -> Select[Any]:
    return query.join(JobRow, JobRow.id == job_id).where(_ended(before))


def _delete(session: Session, table: Any, column: Any, ids: Sequence[Any]) -> int:
    # given ids: a DELETE over a limited subquery on its own table is not the same everywhere
    gone = session.execute(
        delete(table)
        .where(column.in_(ids))
        .returning(column)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone)
