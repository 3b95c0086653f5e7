"""Which jobs are to be written to MLflow: put down with their end, claimed with a lease, tried
again for a week."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from service.store.moves import held, tell
from service.store.outbox import MLFLOW
from service.store.session import now
from service.store.sql import spelled_out, upsert
from service.store.tables import ChoreRow, ExportRow
from service.store.tries import jittered, waits
from service.store.types import clean_text
from service.store.values import NewEvent

_RETRY_S: Final = (5.0, 60.0, 300.0, 1800.0, 3600.0)
"""Waits after each failed try; the last one again and again."""
GIVE_UP_AFTER: Final = timedelta(days=7)

ExportStatus = Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class ClaimedExport:
    """A job that the caller is to write, once."""

    job_id: str
    try_: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not written yet, of all projects."""

    pending: int
    failed: int
    oldest_s: float


class ExportStore:
    """The exports of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def expect(self, for_s: float) -> None:
        """Put down the jobs that end from now on, for so long. Say it again before that is over:
        a sink that is taken away leaves a short list and not one that grows for ever."""
        until = now(self._session) + timedelta(seconds=for_s)
        upsert(self._session, ChoreRow, [{"name": MLFLOW, "due_at": until}])

    def is_due(self) -> bool:
        """Whether `claim` would find one, without a lock."""
        return self._session.execute(_due(now(self._session))).first() is not None

    def claim(self, lease_s: float) -> ClaimedExport | None:
        """Take the job that is due longest; nobody else does while the lease lasts."""
        moment = now(self._session)
        row = self._session.execute(
            update(ExportRow)
            .where(
                ExportRow.job_id
                == _due(moment).with_for_update(skip_locked=True).scalar_subquery(),
                waits(ExportRow, moment),
            )
            .values(tries=ExportRow.tries + 1, lease_until=moment + timedelta(seconds=lease_s))
            .returning(ExportRow)
            .execution_options(populate_existing=True, synchronize_session=False)
        ).scalar_one_or_none()
        return None if row is None else ClaimedExport(row.job_id, row.tries, row.created_at)

    def extend(self, claimed: ClaimedExport, lease_s: float) -> bool:
        """Keep a claim for as long from now on. False: it is gone, or another's."""
        until = now(self._session) + timedelta(seconds=lease_s)
        return self._write(claimed, {"lease_until": until})

    def written(self, claimed: ClaimedExport, url: str) -> bool:
        """It is in MLflow; the job tells so by an event. False: it is gone, or another's."""
        values = {"status": "succeeded", "url": clean_text(url), "error": None}
        return self._finish(claimed, values, NewEvent("exported", {"to": MLFLOW, "url": url}))

    def failed(self, claimed: ClaimedExport, error: str) -> ExportStatus | None:
        """Try again later, or no more. None: it is gone, or another's."""
        moment = now(self._session)
        reason = clean_text(error)
        is_old = moment >= claimed.created_at + GIVE_UP_AFTER
        if not is_old or claimed.try_ <= len(_RETRY_S):
            wait_s = _RETRY_S[min(claimed.try_, len(_RETRY_S)) - 1]
            later = {"next_try_at": moment + jittered(wait_s), "lease_until": None}
            return "pending" if self._write(claimed, {**later, "error": reason}) else None
        told = NewEvent("warning", {"message": f"not written to MLflow: {reason}"})
        return (
            "failed" if self._finish(claimed, {"status": "failed", "error": reason}, told) else None
        )

    def try_failed_again(self) -> int:
        """Make those that were given up due now. Returns how many."""
        moment = now(self._session)
        changed = self._session.scalars(
            update(ExportRow)
            .where(spelled_out(ExportRow.status, {"failed"}))
            .values(status="pending", next_try_at=moment, created_at=moment, finished_at=None)
            .returning(ExportRow.job_id)
            .execution_options(synchronize_session=False)
        )
        return len(changed.all())

    def backlog(self) -> Backlog:
        """How much is waiting and given up, and how long the oldest has waited."""
        counted = select(func.count(), func.min(ExportRow.created_at))
        pending, oldest = self._session.execute(
            counted.where(spelled_out(ExportRow.status, {"pending"}))
        ).one()
        failed, _ = self._session.execute(
            counted.where(spelled_out(ExportRow.status, {"failed"}))
        ).one()
        age = timedelta() if oldest is None else now(self._session) - oldest
        return Backlog(pending, failed, max(0.0, age.total_seconds()))

    def _finish(self, claimed: ClaimedExport, values: dict[str, Any], event: NewEvent) -> bool:
        # The job before its export, in the order of whoever deletes both.
        job_id = claimed.job_id
        if held(self._session, job_id) is None:
            return False
        moment = now(self._session)
        ours = self._write(claimed, {**values, "lease_until": None, "finished_at": moment})
        if ours:
            tell(self._session, job_id, [event])
        return ours

    def _write(self, claimed: ClaimedExport, values: dict[str, Any]) -> bool:
        changed = self._session.execute(
            update(ExportRow)
            .where(
                ExportRow.job_id == claimed.job_id,
                ExportRow.tries == claimed.try_,
                ExportRow.status == "pending",
            )
            .values(values)
            .returning(ExportRow.job_id)
            .execution_options(synchronize_session=False)
        )
        return changed.first() is not None


def _due(moment: datetime) -> Select[str]:
    return (
        select(ExportRow.job_id)
        .where(waits(ExportRow, moment), ExportRow.next_try_at <= moment)
        .order_by(ExportRow.next_try_at, ExportRow.job_id)
        .limit(1)
    )
