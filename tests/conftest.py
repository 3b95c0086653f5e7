"""The two databases, for every test that wants them."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from service.store.migrate import upgrade
from service.store.session import Clock, Database
from service.store.tables import Base
from tests.postgres_server import postgres_server

OpenDatabase = Callable[..., Database]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A Postgres server: MODELPRESS_TEST_POSTGRES_URL, else one of our own."""
    given = os.environ.get("MODELPRESS_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="modelpress-postgres-"))
    try:
        with postgres_server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_tables(postgres_url: str) -> Iterator[str]:
    """A database with every table, which the tests share one after the other."""
    with _fresh_database(postgres_url) as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table, to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "tables.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with every table and no row: the test runs once on each of the two."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("sqlite_tables"), tmp_path / "test.db")
        yield f"sqlite:///{copy}"
        return
    url = request.getfixturevalue("postgres_tables")
    yield url
    with psycopg.connect(url) as connection:  # quicker by far than a database for each test
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, once of each of the two."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with _fresh_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture
def open_database(database_url: str) -> Iterator[OpenDatabase]:
    """Opens `database_url`, with a clock of the test's own if it gives one."""
    with ExitStack() as stack:

        def open_(clock: Clock | None = None) -> Database:
            opened = Database(database_url, clock)
            stack.callback(opened.close)
            return opened

        yield open_


@pytest.fixture
def database(open_database: OpenDatabase) -> Database:
    """An open database, once on SQLite and once on Postgres."""
    return open_database()


@contextmanager
def _fresh_database(server_url: str) -> Iterator[str]:
    """A database of its own on a server, dropped afterwards."""
    server = make_url(server_url).set(drivername="postgresql")
    name = sql.Identifier(f"test_{secrets.token_hex(6)}")
    _on_server(server, sql.SQL("CREATE DATABASE {}").format(name))
    try:
        yield server.set(database=name.as_string().strip('"')).render_as_string(hide_password=False)
    finally:
        _on_server(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _on_server(server: URL, statement: sql.Composed) -> None:
    url = server.render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
