"""What the two databases promise: no lost update, no lock error, readers that do not wait."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from service.store.errors import DatabaseUnavailable
from service.store.files import FileStore
from service.store.session import Database, now
from service.store.tables import FileRow
from tests.store.samples import SHA


def count_up(url: str, times: int) -> None:
    database = Database(url)
    for _ in range(times):
        with database.transaction() as session:
            count = session.execute(select(FileRow.bytes).with_for_update()).scalar_one()
            session.execute(update(FileRow).values(bytes=count + 1))
    database.close()


def test_eight_processes_lose_no_update_and_meet_no_lock_error(
    database_url: str, database: Database
) -> None:
    with database.transaction() as session:
        FileStore(session).put("p", "counter", SHA["a"], 0)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # the imports cost more than the test
    with ProcessPoolExecutor(8, mp_context=processes) as pool:
        for writer in [pool.submit(count_up, database_url, 25) for _ in range(8)]:
            writer.result(timeout=120)
    with database.read() as session:
        assert session.execute(select(FileRow.bytes)).scalar_one() == 8 * 25


def test_a_reader_does_not_wait_for_a_writer_and_sees_what_was_committed(
    database: Database,
) -> None:
    with database.transaction() as session:
        FileStore(session).put("p", "f", SHA["a"], 1)
    written, read = threading.Event(), threading.Event()

    def write() -> None:
        with database.transaction() as session:
            session.execute(update(FileRow).values(bytes=2))
            written.set()
            assert read.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(20)
    with database.read() as session:
        assert FileStore(session).get("p", "f").bytes == 1
    read.set()
    writer.join()
    with database.read() as session:
        assert FileStore(session).get("p", "f").bytes == 2


def test_an_error_leaves_nothing_behind(database: Database) -> None:
    def put_and_fail() -> None:
        with database.transaction() as session:
            FileStore(session).put("p", "f", SHA["a"], 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        put_and_fail()
    with database.read() as session:
        assert FileStore(session).list("p", 10) == []


def test_what_a_read_session_writes_is_thrown_away(database: Database) -> None:
    with database.read() as session:
        FileStore(session).put("p", "f", SHA["a"], 1)
    with database.read() as session:
        assert FileStore(session).list("p", 10) == []


def test_moments_come_back_as_they_went_in(database: Database) -> None:
    with database.transaction() as session:
        before = now(session)
        row = FileStore(session).put("p", "f", SHA["a"], 1)
    with database.read() as session:
        again = FileStore(session).get("p", "f").created_at
    assert again == row.created_at
    assert again.tzinfo is UTC
    assert before <= again <= before + timedelta(seconds=60)
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=60)


def test_a_database_that_is_away_is_a_typed_error(tmp_path: Path) -> None:
    for url in (
        "postgresql://nobody@127.0.0.1:1/none",
        "postgres://nobody@127.0.0.1:1/none",
        f"sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}",
    ):
        database = Database(url)
        with pytest.raises(DatabaseUnavailable):
            database.check()
        database.close()


def test_a_standby_that_refuses_to_write_is_a_database_that_is_away(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        refusal = "PRAGMA query_only = ON"
    else:
        refusal = "SET TRANSACTION READ ONLY"

    def write() -> None:
        with database.transaction() as session:
            session.execute(text(refusal))
            FileStore(session).put("p", "f", SHA["a"], 1)

    with pytest.raises(DatabaseUnavailable):
        write()


def test_other_databases_are_refused() -> None:
    with pytest.raises(ValueError, match="mysql"):
        Database("mysql://host/name")
