"""What happened to jobs, in order."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.tables import EventRow


class EventStore:
    """Reads events; they are written with what they tell of."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self, job_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRow]:
        """One job's events with a number above `after`, oldest first."""
        query = select(EventRow).where(EventRow.job_id == job_id, EventRow.seq > after)
        return self._session.scalars(query.order_by(EventRow.seq).limit(limit)).all()

    def since(
        self,
        after_id: int,
        project: str | None = None,
        limit: int = 1000,
        *,
        only: str | None = None,
    ) -> Sequence[EventRow]:
        """All jobs' events with a global id above `after_id`, `only` those of a type. On Postgres
        a transaction that began earlier may commit a smaller id later: callers ask again from a
        little before."""
        query = select(EventRow).where(EventRow.id > after_id)
        if project is not None:
            query = query.where(EventRow.project == project)
        if only is not None:
            query = query.where(EventRow.type == only)
        return self._session.scalars(query.order_by(EventRow.id).limit(limit)).all()

    def last_id(self) -> int:
        """The newest global id; 0 if nothing has happened yet."""
        return self._session.execute(select(func.max(EventRow.id))).scalar_one() or 0
