"""Writes down who did what: with the change itself, or afterwards where there was none.

The middleware opens an `Operation` for each request, authorization says whose it is, and the
database lets the trail add its entry to the transaction that makes the change: no route has to
think of it. What changed nothing (a refusal, an error) is gathered and written once a second, like
requests as one entry, so that a flood of bad keys is not a flood of rows.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Insert, event
from sqlalchemy.orm import ORMExecuteState, Session

from service.contract.audit import Outcome
from service.errands import Errands
from service.store.audit import AuditStore, NewEntry
from service.store.session import Database

log = logging.getLogger(__name__)

_FLUSH_S: Final = 1.0
_GATHERED: Final = 500  # different entries between two flushes; more become one

_current: ContextVar["Operation | None"] = ContextVar("operation", default=None)


@dataclass(eq=False)
class Operation:
    """One request, from its first byte on; `is_write` once it may change something."""

    request_id: str
    address: str | None
    action: str | None = None
    target: str | None = None
    key_id: str | None = None
    project: str | None = None
    is_write: bool = False
    is_written: bool = False
    code: str | None = None
    """Of the problem that it was answered with."""
    traceparent: str | None = None
    """Of its span, where requests are traced."""

    def by(self, key_id: str, project: str) -> None:
        """Whose key it came with."""
        self.key_id, self.project = key_id, project

    def does(self, action: str, target: str | None) -> None:
        """What it was routed to."""
        self.action, self.target = action, target

    def entry(self, outcome: Outcome, status: int | None = None) -> NewEntry:
        """It, as it is written down."""
        assert self.action is not None
        return NewEntry(
            action=self.action,
            outcome=outcome,
            project=self.project,
            key_id=self.key_id,
            target=self.target,
            status=status,
            code=self.code if status is not None else None,
            request_id=self.request_id,
            address=self.address,
        )


def current() -> Operation | None:
    """The request that is being served; None on threads of our own."""
    return _current.get()


class Trail:
    """One per application. Also the `Witness` of its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: dict[NewEntry, tuple[int, str | None]] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._errands = Errands("audit", self._write, pause_s=_FLUSH_S, waits_first=True)

    def start(self) -> None:
        """Begin to write down, once a second, what is gathered."""
        self._errands.start()

    def close(self) -> None:
        """Write down the rest and stop."""
        self._errands.close()
        self._errands.do_once()

    @contextmanager
    def operation(self, request_id: str, address: str | None) -> Iterator[Operation]:
        """A request; its threads and tasks see it as `current`."""
        opened = Operation(request_id, address)
        token = _current.set(opened)
        try:
            yield opened
        finally:
            _current.reset(token)

    def answered(self, operation: Operation, status: int) -> None:
        """It is over: gather it, unless it was written with its change or is none of ours."""
        if operation.action is None or operation.is_written:
            return
        outcome: Outcome = "refused"
        if status not in (401, 403):
            if not operation.is_write:
                return
            outcome = "failed" if status >= 400 else "unchanged"
        self._gather(operation.entry(outcome, status))

    def _gather(self, entry: NewEntry) -> None:
        like = replace(entry, request_id=None)
        with self._lock:
            if like not in self._gathered and len(self._gathered) >= _GATHERED:
                like = NewEntry("many", entry.outcome)
            times, _ = self._gathered.get(like, (0, None))
            self._gathered[like] = (times + 1, entry.request_id)

    def flush(self) -> None:
        """Write down now what is gathered. It stays gathered where that raises."""
        with self._flushing:  # who flushes while another does finds all of it written
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            taken, self._gathered = self._gathered, {}
        if not taken:
            return
        try:
            with self._database.transaction() as session:
                for like, (times, request_id) in taken.items():
                    AuditStore(session).add(replace(like, request_id=request_id), times)
        except Exception:
            self._give_back(taken)
            raise

    def _give_back(self, taken: Mapping[NewEntry, tuple[int, str | None]]) -> None:
        with self._lock:
            for like, (times, request_id) in taken.items():
                since, last = self._gathered.get(like, (0, None))
                self._gathered[like] = (times + since, last or request_id)

    def _write(self) -> bool:
        self.flush()
        return False

    def begun(self, session: Session) -> None:
        """See `Witness`. Watches what a request writes."""
        operation = _current.get()
        if operation is None or not operation.is_write or operation.is_written:
            return
        session.info["wrote"] = False

        @event.listens_for(session, "after_flush")
        def flushed(session: Session, _: object) -> None:
            session.info["wrote"] |= bool(session.new or session.dirty or session.deleted)
            if operation.target is None:
                operation.target = next(_ids(session), None)

        @event.listens_for(session, "do_orm_execute")
        def executed(state: ORMExecuteState) -> None:
            session.info["wrote"] |= state.is_insert or state.is_update or state.is_delete
            if state.is_insert and operation.target is None:
                operation.target = _inserted(state)

    def ending(self, session: Session) -> None:
        """See `Witness`. Adds the entry to a transaction in which a request wrote."""
        session.flush()
        if session.info.get("wrote"):
            operation = _current.get()
            assert operation is not None
            AuditStore(session).add(operation.entry("done"))

    def committed(self, session: Session) -> None:
        """See `Witness`."""
        operation = _current.get()
        if operation is not None and session.info.get("wrote"):
            operation.is_written = True


def _inserted(state: ORMExecuteState) -> str | None:
    """The id that a statement gives to the row that it makes."""
    assert isinstance(state.statement, Insert)
    made = state.statement.compile().params.get("id")
    return made if isinstance(made, str) else None


def _ids(session: Session) -> Iterator[str]:
    """Ids of the resources that a flush makes; rows of other kinds count or have no id."""
    for row in session.new:
        made = getattr(row, "id", None)
        if isinstance(made, str):
            yield made
