"""Blobs that nothing names go; those that something names, or is about to, stay."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, text

from service.blobs import BlobInfo, BlobStore, open_blobs
from service.keeping import Collected, collect
from service.store.blob_uses import _COLUMNS, blobs_in_use
from service.store.chores import take
from service.store.errors import DatabaseUnavailable, NotFound
from service.store.files import FileStore
from service.store.session import Database, dialect_of
from service.store.tables import Base, FileRow

GRACE_S = 86_400.0
DAY = timedelta(days=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def tomorrow() -> datetime:
    return datetime.now(UTC) + DAY + timedelta(hours=1)


def test_a_blob_goes_when_nothing_names_it_and_the_grace_is_over(
    blobs: BlobStore, open_database: Callable[..., Database]
) -> None:
    named, unnamed = blobs.put_bytes(b"named"), blobs.put_bytes(b"unnamed")
    today, later = open_database(), open_database(tomorrow)
    with today.transaction() as session:
        FileStore(session).put("p", "f", named.sha256, named.bytes)
    assert collect(today, blobs, GRACE_S) == Collected(0, 0), "young"
    assert collect(later, blobs, GRACE_S, dry_run=True) == Collected(1, 7)
    assert blobs.exists(unnamed.sha256)
    assert collect(later, blobs, GRACE_S) == Collected(1, 7)
    assert [blob.sha256 for blob in blobs.list()] == [named.sha256]


Action = tuple[Literal["put", "name", "unname", "copy"], int]
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["put", "name", "unname", "copy"]), st.integers(0, 2)), max_size=5
)


class World:
    """Three contents, old and unnamed at first, and writers that do one step at a time."""

    def __init__(self, root: Path, database: Database, now: datetime) -> None:
        self.database, self.now = database, now
        self.blobs = open_blobs(f"file://{root}/blobs", root / "staging")
        self.root = root / "blobs"
        self.held: set[int] = set()
        self.sha256 = [self.put(n, now - 2 * DAY) for n in range(3)]
        self.held.clear()

    def put(self, n: int, at: datetime) -> str:
        sha256 = self.blobs.put_bytes(b"content %d" % n).sha256
        path = self.root / sha256[:2] / sha256[2:4] / sha256
        os.utime(path, (at.timestamp(), at.timestamp()))
        self.held.add(n)  # its writer is about to name it
        return sha256

    def act(self, actions: list[Action]) -> None:
        for what, n in actions:
            with self.database.transaction() as session:
                files = FileStore(session)
                named = {row.name: row.sha256 for row in files.list("p", 10)}
                if what == "put":
                    self.put(n, self.now)
                elif what == "name" and n in self.held:
                    files.put("p", f"f{n}", self.sha256[n], 9)
                elif what == "copy" and f"f{n}" in named:
                    files.hold("p", f"f{n}")
                    files.put("p", f"copy{n}", self.sha256[n], 9)
                elif what == "unname":
                    for name in {f"f{n}", f"copy{n}"} & set(named):
                        files.delete("p", name)
                    self.held.discard(n)

    def named(self) -> set[str]:
        with self.database.read() as session:
            return blobs_in_use(session, self.sha256)


@pytest.fixture
def rows(sqlite_tables: Path, tmp_path: Path) -> Iterator[Database]:
    database = Database(
        f"sqlite:///{shutil.copy(sqlite_tables, tmp_path / 'rows.db')}", lambda: NOW
    )

    @event.listens_for(database.engine, "connect")
    def hurry(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    yield database
    database.close()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(ACTIONS, min_size=5, max_size=5), ACTIONS)
def test_no_interleaving_of_writers_and_a_collection_loses_a_blob_that_is_named(
    rows: Database, between: list[list[Action]], before: list[Action]
) -> None:
    """Between the list, the look at the rows and each deletion, writers take any steps."""
    with rows.transaction() as session:
        session.execute(delete(FileRow))
    with tempfile.TemporaryDirectory() as root:
        world = World(Path(root), rows, NOW)
        steps = iter(between)

        class Watched:
            """The store, with writers that come in whenever the collector reaches it."""

            def list(self) -> Iterator[BlobInfo]:
                found = [*world.blobs.list()]
                world.act(next(steps, []))
                return iter(found)

            def delete_older(self, sha256: str, moment: datetime) -> bool:
                world.act(next(steps, []))
                return world.blobs.delete_older(sha256, moment)

        world.act(before)
        collect(rows, Watched(), GRACE_S)  # type: ignore[arg-type]
        world.act(between[-1])
        about_to_be = {world.sha256[n] for n in world.held}
        assert all(world.blobs.exists(sha) for sha in world.named() | about_to_be)


def test_a_file_that_another_row_takes_over_is_not_deleted_meanwhile(database: Database) -> None:
    with database.transaction() as session:
        FileStore(session).put("p", "f", "a" * 64, 1)
        if dialect_of(session) == "sqlite":
            return  # one writer at a time
    with database.transaction() as taking:
        FileStore(taking).hold("p", "f")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            delete_at_once(database)
    with database.transaction() as session:
        FileStore(session).delete("p", "f")
        with pytest.raises(NotFound):
            FileStore(session).hold("p", "f")


def delete_at_once(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        FileStore(session).delete("p", "f")


def test_every_column_that_names_a_blob_is_asked() -> None:
    no_blobs = {
        "keys.secret_sha256",  # of a secret
        "sessions.secret_sha256",  # of another
        "uploads.sha256",  # announced; its bytes are no blob yet
        "models.sha256",  # of the weights file, which model_files names
    }
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("sha256")
    }
    asked = {f"{column.class_.__tablename__}.{column.key}" for column in _COLUMNS}
    assert asked == columns - no_blobs


def test_a_chore_is_one_processs_until_it_is_due_again(
    open_database: Callable[..., Database],
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    taken = []
    for minutes in (0, 1, 59, 61):
        moment = at + timedelta(minutes=minutes)
        with open_database(lambda moment=moment: moment).transaction() as session:
            taken.append(take(session, "keep", 3600.0))
    assert taken == [True, False, False, True]
