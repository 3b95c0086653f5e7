"""Migrations make exactly the tables that the code names, on both databases."""

from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from service.store.migrate import current, newest, upgrade
from service.store.session import open_engine
from service.store.tables import Base


def test_migrations_and_tables_agree(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_processes_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for started in [pool.submit(upgrade, empty_database_url) for _ in range(4)]:
            started.result()
    engine = open_engine(empty_database_url)
    with engine.begin() as connection:
        assert current(connection) == newest() is not None
    engine.dispose()
