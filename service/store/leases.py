"""What a worker holds, and for how long."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.contract.lifecycle import LEASED, JobStatus
from service.store.session import dialect_of, now
from service.store.sql import spelled_out
from service.store.tables import JobRow

Leases = Sequence[tuple[str, int]]
"""Jobs, each with the run that holds it."""

_LOCK_NOT_AVAILABLE: Final = "55P03"


def heartbeat(
    session: Session, worker_id: str, leases: Leases, lease_s: float
) -> dict[str, JobStatus | None]:
    """Extend the leases. For each job its status, or None where the run is another's now.

    A row that somebody else holds is waited for a second at most: a process that is frozen within
    its write costs that lease, and not those of all other jobs of the worker.
    """
    if not leases:
        return {}
    found: dict[str, JobStatus | None] = dict.fromkeys(job_id for job_id, _ in leases)
    found.update(_extend(session, worker_id, leases, lease_s, skip_locked=True))
    missed = [(job_id, run) for job_id, run in leases if found[job_id] is None]
    if missed:
        found.update(_extend_soon(session, worker_id, missed, lease_s))
    return found


def _extend(
    session: Session, worker_id: str, leases: Leases, lease_s: float, *, skip_locked: bool
) -> dict[str, JobStatus]:
    mine = select(JobRow.id).where(_held(worker_id, leases))
    rows = session.execute(
        update(JobRow)
        .where(JobRow.id.in_(mine.with_for_update(skip_locked=skip_locked)))
        .values(lease_until=now(session) + timedelta(seconds=lease_s))
        .returning(JobRow.id, JobRow.status)
        .execution_options(synchronize_session=False)
    )
    return dict(rows.all())


def _extend_soon(
    session: Session, worker_id: str, leases: Leases, lease_s: float
) -> dict[str, JobStatus]:
    """Those that were held a moment ago; one that still is keeps its lease as it was."""
    try:
        with session.begin_nested():
            if dialect_of(session) == "postgresql":
                session.execute(text("SET LOCAL lock_timeout = '1s'"))
            return _extend(session, worker_id, leases, lease_s, skip_locked=False)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
    rows = session.execute(select(JobRow.id, JobRow.status).where(_held(worker_id, leases)))
    return dict(rows.all())


def _held(worker_id: str, leases: Leases) -> ColumnElement[bool]:
    these = or_(*(and_(JobRow.id == job_id, JobRow.run == run) for job_id, run in leases))
    return and_(these, JobRow.worker_id == worker_id, spelled_out(JobRow.status, LEASED))
