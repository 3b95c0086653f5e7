"""Who waits for whom: rows that exist exactly while something is not ready."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from service.contract.job_errors import JobError
from service.store.errors import NotFound
from service.store.moves import error_json, move
from service.store.tables import DatasetRow, DependencyRow, JobRow, ModelRow, ReferenceRow

Readiness = Literal["ready", "waiting", "broken"]

_READINESS: dict[str, Readiness] = {
    "succeeded": "ready",
    "ready": "ready",
    "failed": "broken",
    "cancelled": "broken",
    "rejected": "broken",
}
_TABLES: dict[str, type[JobRow] | type[ModelRow] | type[DatasetRow]] = {
    "job": JobRow,
    "mdl": ModelRow,
    "dst": DatasetRow,
}
_KINDS = {"job": "job", "mdl": "model", "dst": "dataset"}


def refer(session: Session, job_id: str, project: str, on_ids: Sequence[str]) -> str | None:
    """Note what a job refers to, and make it wait for what is not ready.

    Returns the id of one that will never be ready, if there is one. NotFound for an id that the
    project has not. The rows referred to stay as they are until the transaction ends, so none
    becomes ready, fails or is deleted unnoticed.
    """
    broken: str | None = None
    for on_id in sorted(set(on_ids)):  # one order for all, so that two adders cannot deadlock
        readiness = _hold(session, on_id, project)
        session.execute(insert(ReferenceRow).values(job_id=job_id, on_id=on_id))
        if readiness == "waiting":
            session.execute(insert(DependencyRow).values(job_id=job_id, on_id=on_id))
        elif readiness == "broken":
            broken = on_id
    return broken


def _hold(session: Session, on_id: str, project: str) -> Readiness:
    prefix = on_id[:3]
    table = _TABLES[prefix]
    status = session.execute(
        select(table.status)
        .where(table.id == on_id, table.project == project)
        .with_for_update(read=True)
    ).scalar_one_or_none()
    if status is None:
        raise NotFound(_KINDS[prefix], on_id)
    return _READINESS.get(status, "waiting")


def resolve(session: Session, on_id: str) -> tuple[str, ...]:
    """`on_id` is ready: nobody waits for it any more. Returns the jobs that wait for nothing
    else and are queued.
    """
    waited = session.scalars(
        delete(DependencyRow)
        .where(DependencyRow.on_id == on_id)
        .returning(DependencyRow.job_id)
        .execution_options(synchronize_session=False)
    ).all()
    if not waited:
        return ()
    still = select(DependencyRow.job_id).where(DependencyRow.job_id == JobRow.id)
    free = select(JobRow.id).where(
        JobRow.id.in_(waited), JobRow.status == "queued", ~still.exists()
    )
    return tuple(session.scalars(free.order_by(JobRow.id)))


def break_(session: Session, on_id: str, now: datetime) -> None:
    """`on_id` will never be ready: the jobs that wait for it fail, and those that wait for them."""
    broken = [on_id]
    while broken:
        cause = broken.pop()
        waiting = select(DependencyRow.job_id).where(DependencyRow.on_id == cause)
        broken += [
            job_id
            for job_id in sorted(session.scalars(waiting))
            if fail_dependent(session, job_id, cause, now)
        ]
        session.execute(delete(DependencyRow).where(DependencyRow.on_id == cause))


def fail_dependent(session: Session, job_id: str, on_id: str, now: datetime) -> bool:
    """Fail a job that waits for something which will never be. False: it is already over."""
    # a paused job may wait too; it is queued again first, since only a queued job can fail so
    move(session, job_id, "queued", {"paused"}, now)
    error = error_json(
        JobError.of("dependency_failed", f"{on_id}, which it needs, did not succeed")
    )
    moved = move(
        session,
        job_id,
        "failed",
        {"queued"},
        now,
        values={"error": error},
        data={"error": error},
    )
    return moved is not None
