"""Migrations make exactly the tables that the code names, on both databases."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select

from service.store.migrate import config, current, newest, upgrade
from service.store.session import Database, open_engine
from service.store.tables import Base, MetricStretchRow
from service.store.values import Point
from tests.store.conftest import Jobs


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


def test_a_series_from_before_has_the_stretches_it_would_have_now(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    points = [Point(n, 7 * at, math.cos(at)) for n in ("accuracy", "loss") for at in range(400)]
    jobs.do(lambda s: s.record(job.id, job.run, points=[*points, Point("flat", 2**31 + 5, 1.0)]))
    written = _stretches(jobs.database)
    with jobs.database.engine.begin() as connection:
        command.downgrade(config(connection), "0011")
    upgrade(jobs.database.url)
    assert _stretches(jobs.database) == written
    assert sum(count for _, name, width, _, count, *_ in written if name != "flat") == 2 * 800


def _stretches(database: Database) -> list[tuple[Any, ...]]:
    table = MetricStretchRow.__table__
    with database.read() as session:
        return [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
