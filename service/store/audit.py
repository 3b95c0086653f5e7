"""The audit log: entries are added, read, and forgotten when they are old."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.contract.audit import Outcome
from service.contract.ids import first_id, new_id
from service.store.session import now
from service.store.tables import AuditRow

_CLOCKS_APART_S: Final = 86_400.0  # an id has the time of the process that made it


@dataclass(frozen=True)
class NewEntry:
    """What is known of a request when it is written down."""

    action: str
    outcome: Outcome
    project: str | None = None
    key_id: str | None = None
    target: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are asked for; None: any."""

    project: str | None = None
    key_id: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditStore:
    """The audit log of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, entry: NewEntry, times: int = 1) -> AuditRow:
        """Write it down; `times`: that many requests, of which this was the last."""
        row = AuditRow(
            id=new_id("aud"),
            at=now(self._session),
            project=entry.project,
            key_id=entry.key_id,
            action=entry.action,
            target=entry.target,
            outcome=entry.outcome,
            status=entry.status,
            code=entry.code,
            times=times,
            request_id=entry.request_id,
            address=entry.address,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def list(self, chosen: AuditFilter, limit: int, after: str | None = None) -> Sequence[AuditRow]:
        """Newest first; `after` is the last id of the page before."""
        query = select(AuditRow)
        for column, wanted in (
            (AuditRow.project, chosen.project),
            (AuditRow.key_id, chosen.key_id),
            (AuditRow.action, chosen.action),
            (AuditRow.target, chosen.target),
            (AuditRow.outcome, chosen.outcome),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        # the id's own time bounds how far the index is read
        if chosen.since is not None:
            floor = first_id("aud", chosen.since, -_CLOCKS_APART_S)
            query = query.where(AuditRow.at >= chosen.since, AuditRow.id >= floor)
        if chosen.until is not None:
            ceiling = first_id("aud", chosen.until, _CLOCKS_APART_S)
            query = query.where(AuditRow.at < chosen.until, AuditRow.id < ceiling)
        if after is not None:
            query = query.where(AuditRow.id < after)
        return self._session.scalars(query.order_by(AuditRow.id.desc()).limit(limit)).all()


def forget_audit(session: Session, before: datetime, limit: int) -> int:
    """Forget those of the `limit` oldest entries that were written before. Returns how many."""
    oldest = select(AuditRow.id).order_by(AuditRow.id).limit(limit)
    gone = delete(AuditRow).where(AuditRow.id.in_(oldest), AuditRow.at < before)
    returned = gone.returning(AuditRow.id).execution_options(synchronize_session=False)
    return len(session.execute(returned).all())
