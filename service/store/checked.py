"""What models and datasets share: a worker looks at an upload before anyone may use it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, defer

from service.contract.job_errors import JobError, JobErrorCode
from service.store.dependencies import break_, resolve
from service.store.errors import Conflict, NotFound
from service.store.jobs import JobStore
from service.store.session import now
from service.store.sql import spelled_out
from service.store.tables import DatasetRow, FileRow, ModelRow

Row = TypeVar("Row", ModelRow, DatasetRow)

MAX_CHECKS: Final = 3


class CheckedStore(Generic[Row]):
    """Rows that are `checking`, then `ready` or `rejected`, within one transaction."""

    row: type[Row]
    bulky: tuple[InstrumentedAttribute[Any], ...]
    """Columns that lists leave unread: an upload may name 100,000 classes."""
    kind: str
    invalid: JobErrorCode

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, resource_id: str, project: str | None = None) -> Row:
        """NotFound, also for another project's."""
        query = select(self.row).where(self.row.id == resource_id)
        found = self._session.execute(
            query.execution_options(populate_existing=True)
        ).scalar_one_or_none()
        if found is None or project not in (None, found.project):
            raise NotFound(self.kind, resource_id)
        return found

    def list(self, project: str, limit: int, after: str | None = None) -> list[Row]:
        """Newest first; `after` is the last id of the page before."""
        query = select(self.row).where(self.row.project == project)
        if after is not None:
            query = query.where(self.row.id < after)
        return list(
            self._session.execute(
                query.options(*(defer(column, raiseload=True) for column in self.bulky))
                .order_by(self.row.id.desc())
                .limit(limit)
            ).scalars()
        )

    def unchecked(self, largest_bytes: int | None = None) -> str | None:
        """The upload that should be checked next; see `claim_check`."""
        return self._session.execute(self._waiting(largest_bytes).limit(1)).scalar_one_or_none()

    def claim_check(
        self, worker_id: str, lease_s: float, largest_bytes: int | None = None
    ) -> Row | None:
        """An upload that nobody checks, now the worker's: of the project with the fewest checks
        under way, the oldest; with `largest_bytes` only one that is known to be no larger. One
        that killed its checkers too often is rejected here."""
        while True:
            resource_id = self._session.execute(
                self._waiting(largest_bytes).with_for_update(of=self.row, skip_locked=True).limit(1)
            ).scalar_one_or_none()
            if resource_id is None:
                return None
            found = self._update(
                resource_id,
                None,
                {
                    "check_run": self.row.check_run + 1,
                    "check_attempts": self.row.check_attempts + 1,
                    "check_lease_until": now(self._session) + timedelta(seconds=lease_s),
                    "checked_by": worker_id,
                },
            )
            assert found is not None
            if found.check_attempts <= MAX_CHECKS:
                return found
            message = f"its check did not come to an end {MAX_CHECKS} times"
            self.reject(found.id, found.check_run, JobError.of(self.invalid, message))

    def extend_check(self, resource_id: str, check_run: int, lease_s: float) -> bool:
        """Give the check so many seconds from now. False: another check has it."""
        until = now(self._session) + timedelta(seconds=lease_s)
        return self._update(resource_id, check_run, {"check_lease_until": until}) is not None

    def release_check(
        self, resource_id: str, check_run: int, again_in_s: float, *, counts: bool
    ) -> None:
        """Nothing was found out: the upload waits for another check, so many seconds from now.

        What `counts` is one of the few checks that an upload may end; what does not is the fault
        of the storage or of the worker. Nothing happens where another check has it.
        """
        waiting = now(self._session) + timedelta(seconds=again_in_s)
        values: dict[str, Any] = {"check_lease_until": waiting}
        if not counts:
            values["check_attempts"] = self.row.check_attempts - 1
        self._update(resource_id, check_run, values)

    def reject(self, resource_id: str, check_run: int, error: JobError) -> bool:
        """It is not what it should be. False: another check has it."""
        values = {"status": "rejected", "error": error.model_dump(), "source_sha256": None}
        if self._update(resource_id, check_run, values) is None:
            return False
        break_(self._session, resource_id, now(self._session))
        return True

    def delete(self, resource_id: str, project: str) -> None:
        """Conflict while a job that is not over names it."""
        found = self.get(resource_id, project)
        users = JobStore(self._session).live_users_of(resource_id)
        if users:
            raise Conflict(f"{resource_id} is still needed by {users[0]}")
        self._session.delete(found)
        self._session.flush()

    def _accept(
        self, resource_id: str, check_run: int, values: Mapping[str, Any]
    ) -> tuple[str, ...] | None:
        """Returns the jobs that wait for nothing now. None: another check has it."""
        ready = {"status": "ready", "source_sha256": None, **values}
        if self._update(resource_id, check_run, ready) is None:
            return None
        return resolve(self._session, resource_id)

    def _waiting(self, largest_bytes: int | None) -> Select[str]:
        moment = now(self._session)
        free = or_(self.row.check_lease_until.is_(None), self.row.check_lease_until < moment)
        checking = spelled_out(self.row.status, {"checking"})
        other = aliased(self.row)
        under_way = (
            select(func.count())
            .where(
                other.project == self.row.project,
                spelled_out(other.status, {"checking"}),
                other.check_lease_until >= moment,
            )
            .scalar_subquery()
        )
        query = select(self.row.id).where(checking, free).order_by(under_way, self.row.id)
        if largest_bytes is not None:
            small = select(FileRow.sha256).where(FileRow.bytes <= largest_bytes)
            query = query.where(self.row.source_sha256.in_(small))
        return query

    def _update(
        self, resource_id: str, check_run: int | None, values: Mapping[str, Any]
    ) -> Row | None:
        query = update(self.row).where(self.row.id == resource_id, self.row.status == "checking")
        if check_run is not None:
            query = query.where(self.row.check_run == check_run)
        return self._session.execute(
            query.values(dict(values))
            .returning(self.row)
            .execution_options(synchronize_session=False, populate_existing=True)
        ).scalar_one_or_none()
