"""Two transactions of which one is under way: what the other may do, and what it waits for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from service.auth import ensure_key
from service.blobs.local import LocalBlobs
from service.config import Settings
from service.key_text import generate_key
from service.store.deliveries import DeliveryStore
from service.store.errors import DatabaseUnavailable
from service.store.jobs import JobStore
from service.store.limits import alone
from service.store.moves import locked
from service.store.session import Database, dialect_of
from service.store.webhooks import WebhookStore
from service.sweep import Sweep
from tests.store.conftest import Jobs
from tests.store.samples import LEASE_S, OTHER, WORKER


@pytest.fixture
def on_postgres(jobs: Jobs) -> Jobs:
    """SQLite lets nobody in while another writes."""
    with jobs.database.read() as session:
        if dialect_of(session) != "postgresql":
            pytest.skip("of Postgres")
    return jobs


def wait_no_longer(session: Session) -> None:
    session.execute(text("SET LOCAL lock_timeout = '50ms'"))


def claim_at_once(database: Database) -> None:
    with database.transaction() as session:
        wait_no_longer(session)
        DeliveryStore(session).claim(60.0)


def test_a_claim_that_found_nothing_holds_no_project(on_postgres: Jobs) -> None:
    database, job_id = on_postgres.database, on_postgres.add()
    with database.transaction() as other, database.transaction() as claiming:
        locked(other, job_id)
        assert JobStore(claiming).claim(WORKER, LEASE_S, most_running=1) is None
        with database.transaction() as third:
            wait_no_longer(third)
            alone(third, "claim", "p")  # raises where it is held
    assert on_postgres.claimed().id == job_id


def test_a_frozen_writer_costs_one_lease_and_not_those_beside_it(on_postgres: Jobs) -> None:
    database = on_postgres.database
    held, beside = on_postgres.add(), on_postgres.add()
    leases = [(on_postgres.claimed().id, 1) for _ in range(2)]
    on_postgres.watch.pass_(LEASE_S - 1)
    with database.transaction() as frozen:
        locked(frozen, held)
        told = on_postgres.do(lambda jobs: jobs.heartbeat(WORKER.id, leases, LEASE_S))
        assert told == {held: "running", beside: "running"}
        on_postgres.watch.pass_(LEASE_S - 1)
        assert on_postgres.do(lambda jobs: jobs.lapsed(10)) == [(held, 1)]
    on_postgres.do(lambda jobs: jobs.heartbeat(WORKER.id, leases, LEASE_S))
    assert on_postgres.do(lambda jobs: jobs.lapsed(10)) == []


def test_a_frozen_writer_keeps_no_other_job_from_being_rescued(
    on_postgres: Jobs, tmp_path: Path
) -> None:
    database, (held, lost) = on_postgres.database, (on_postgres.add(), on_postgres.add())
    on_postgres.claimed()
    on_postgres.claimed(OTHER)
    on_postgres.watch.pass_(LEASE_S + 1)
    blobs = LocalBlobs(tmp_path / "blobs", tmp_path / "staging")
    sweep = Sweep(database, blobs, lambda *_: None, Settings(data_dir=tmp_path))
    with database.transaction() as frozen:
        locked(frozen, held)
        sweep.rescue()
        assert on_postgres.row(lost).status == "queued"
    sweep.rescue()
    assert on_postgres.row(held).status == "queued"


def test_messages_of_a_webhook_are_claimed_one_after_the_other(on_postgres: Jobs) -> None:
    database = on_postgres.database
    with database.transaction() as session:
        hook = WebhookStore(session).add("p", name="h", url="u", events=(), secret="whsec_AAAA")
        for _ in range(2):
            DeliveryStore(session).add_test(hook)
    with database.transaction() as one:
        claimed = DeliveryStore(one).claim(60.0)
        assert claimed is not None
        assert "whsec_" not in repr(claimed)
        with pytest.raises(DatabaseUnavailable):
            claim_at_once(database)
    with database.transaction() as other:
        assert DeliveryStore(other).claim(60.0) is None


def test_processes_that_start_at_once_make_one_key(jobs: Jobs) -> None:
    key, together = generate_key(), threading.Barrier(8)

    def start(_: int) -> None:
        together.wait()
        ensure_key(jobs.database, key, "bootstrap")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    with jobs.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM keys")).scalar_one() == 1
