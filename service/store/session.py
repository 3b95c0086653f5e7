"""Connections and transactions: one writer at a time on SQLite, row locks on Postgres."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from service.store.errors import DatabaseUnavailable
from service.store.types import UtcDateTime, dump_json

Clock = Callable[[], datetime]

SQLITE_BUSY_S: Final = 30.0  # a writer waits this long for its turn
_WAL_RETRY_S: Final = 0.01
POSTGRES_CONNECT_S: Final = 5
POSTGRES_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=10s"
    " -c idle_in_transaction_session_timeout=60s"
)


def open_engine(url: str, *, pool_size: int = 10, foreign_keys: bool = True) -> Engine:
    """An engine for `sqlite:///path`, `postgres://…` or `postgresql[+psycopg]://…`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            json_serializer=dump_json,
            connect_args={"timeout": SQLITE_BUSY_S},
            pool_size=pool_size,
            max_overflow=4 * pool_size,
        )
        _prepare_sqlite(engine, foreign_keys)
        return engine
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "postgresql+psycopg":
        raise ValueError(f"database must be sqlite or postgresql, got {parsed.drivername}")
    return create_engine(
        parsed,
        json_serializer=dump_json,
        connect_args={"connect_timeout": POSTGRES_CONNECT_S, "options": POSTGRES_OPTIONS},
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        pool_pre_ping=True,
    )


def _prepare_sqlite(engine: Engine, foreign_keys: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins too late and loses updates
        connection.execute(f"PRAGMA busy_timeout = {int(SQLITE_BUSY_S * 1000)}")
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("modelpress_reads", False)
        # a deferred transaction that turns to writing fails where another wrote meanwhile
        connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """The first connection switches the file, for good. Of several that try at once SQLite
    refuses some at once, whatever busy_timeout is: waiting, they would wait for each other."""
    deadline = time.monotonic() + SQLITE_BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
        time.sleep(_WAL_RETRY_S)


class Witness(Protocol):
    """Told of every transaction, in its thread. What it writes before the end goes along."""

    def begun(self, session: Session) -> None: ...

    def ending(self, session: Session) -> None: ...

    def committed(self, session: Session) -> None: ...


class Database:
    """The one way to the rows. Safe to share between threads, not across fork."""

    def __init__(self, url: str, clock: Clock | None = None, *, pool_size: int = 10) -> None:
        """`clock` replaces the database's own clock, for tests. Opens no connection yet."""
        self.url = url
        self.engine = open_engine(url, pool_size=pool_size)
        self._reads = self.engine.execution_options(modelpress_reads=True)
        self._clock = clock
        self.witness: Witness | None = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commits when the block ends, rolls back when it raises.

        Rows stay readable after the block. On SQLite the first statement takes the write lock.
        Raises DatabaseUnavailable; after a failed commit nothing was written, as far as one can
        know.
        """
        witness = self.witness
        with _told_apart(), self._session(self.engine) as session:
            with session.begin():
                if witness is not None:
                    witness.begun(session)
                yield session
                if witness is not None:
                    witness.ending(session)
            if witness is not None:
                witness.committed(session)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose writes, if any, are thrown away. Never waits for a writer."""
        with _told_apart(), self._session(self._reads) as session:
            yield session

    def _session(self, engine: Engine) -> Session:
        return Session(engine, expire_on_commit=False, info={"clock": self._clock})

    def now(self, session: Session) -> datetime:
        """See `now`."""
        return now(session)

    def check(self) -> None:
        """DatabaseUnavailable unless it answers."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def now(session: Session) -> datetime:
    """The time by the database's clock, so that the machines of a cluster agree; aware, UTC.

    It moves on within a transaction.
    """
    clock: Clock | None = session.info["clock"]
    if clock is not None:
        return clock()
    if dialect_of(session) == "sqlite":
        return datetime.now(UTC)  # it lives in this process, and so does its clock
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)


def clock_of(session: Session) -> ColumnElement[datetime]:
    """The same time within a statement, which then needs no question of its own for it."""
    if has_clock(session):
        return func.clock_timestamp(type_=UtcDateTime())
    return literal(now(session), UtcDateTime())


def has_clock(session: Session) -> bool:
    """Whether its database has a clock of its own that statements can name."""
    return session.info["clock"] is None and dialect_of(session) == "postgresql"


def dialect_of(session: Session) -> str:
    """`sqlite` or `postgresql`."""
    return session.get_bind().dialect.name


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turns the driver's errors into ours: no answer, or a value that no column takes."""
    try:
        yield
    # Postgres ends what idles in a transaction, and a standby refuses to write, as "internal".
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        raise DatabaseUnavailable(_first_line(error)) from error
    except StatementError as error:
        if isinstance(error.orig, ValueError):
            raise error.orig from error
        raise


def _first_line(error: Any) -> str:
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
