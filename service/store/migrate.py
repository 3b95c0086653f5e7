"""Brings a database to the newest schema."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text

from service.store.session import open_engine

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x6D_70_72_73  # any number, the same in every process


def upgrade(database_url: str) -> None:
    """Apply what is missing. Safe when several processes start at once; twice is fine."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # Off, as SQLite's way of altering a table is to drop the old one, children and all.
    engine = open_engine(database_url, foreign_keys=False)
    try:
        with engine.begin() as connection:  # on SQLite this takes the write lock
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            if current(connection) != newest():
                command.upgrade(config(connection), "head")
    finally:
        engine.dispose()


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file."""
    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    made.attributes["connection"] = connection
    return made


def current(connection: Connection) -> str | None:
    """The revision of a database; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The newest revision there is."""
    return ScriptDirectory.from_config(config()).get_current_head()
