"""Who is served when there is not enough for all: shares, limits, and GPUs that must be alone."""

import itertools
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from service.contract.ids import new_id
from service.store.claims import EXCLUSIVE_PATIENCE_S
from service.store.jobs import JobStore
from service.store.limits import Limits, LimitStore
from service.store.session import Database, dialect_of
from service.store.tables import JobRow
from service.store.values import ClaimingWorker, NewJob, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import GPU, LEASE_S, OTHER, WORKER


def test_a_thousand_jobs_of_one_project_do_not_starve_anothers_one(jobs: Jobs) -> None:
    queue_many(jobs.database, 1000, projects=1, priority=9)
    for _ in range(2):  # also on one slot, where nothing runs whenever a job is claimed
        first = jobs.claimed()
        assert first.project == "p0"
        lone = jobs.add("few", priority=0)
        jobs.watch.pass_(1)
        jobs.do(lambda s, job=first: s.finish(job.id, job.run, Succeeded({})))  # type: ignore[misc]
        second = jobs.claimed()
        assert second.id == lone
        jobs.watch.pass_(1)
        jobs.do(lambda s, job=second: s.finish(job.id, job.run, Succeeded({})))  # type: ignore[misc]


def test_a_claim_costs_the_same_with_ten_jobs_queued_as_with_ten_thousand(
    database: Database,
) -> None:
    queue_many(database, 10)
    few = cost_of_a_claim(database)
    queue_many(database, 9990)
    # A thousand times as many jobs. Postgres may fetch a row twice where no vacuum has been yet.
    assert cost_of_a_claim(database) <= 3 * few


def queue_many(database: Database, count: int, projects: int = 3, **fields: int) -> None:
    """Copies of one job, of every priority unless one is given."""
    with database.transaction() as session:
        row = JobStore(session).add(NewJob("p0", "train", {}, **fields))  # type: ignore[arg-type]
        columns = {name: getattr(row, name) for name in JobRow.__table__.columns.keys()}  # noqa: SIM118
        rows = [
            columns
            | {"id": new_id("job"), "project": f"p{n % projects}", "priority": n % 10}
            | fields
            for n in range(1, count)
        ]
        session.execute(insert(JobRow), rows)
    if dialect_of(Session(database.engine)) == "postgresql":
        with database.transaction() as session:
            session.execute(text("ANALYZE jobs"))


def cost_of_a_claim(database: Database) -> int:
    """Rows that Postgres reads, or instructions that SQLite's virtual machine runs."""
    with database.transaction() as session:
        driver = session.connection().connection.driver_connection
        steps = itertools.count()
        if isinstance(driver, sqlite3.Connection):
            driver.set_progress_handler(lambda: next(steps) < 0, 1)
        assert JobStore(session).claim(WORKER, LEASE_S) is not None
        if isinstance(driver, sqlite3.Connection):
            driver.set_progress_handler(None, 0)
            return next(steps)
        read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
        return int(session.execute(text(f"{read} WHERE relname = 'jobs'")).scalar_one())


def test_a_project_at_its_limit_is_passed_over_and_its_limit_goes_before_the_settings(
    jobs: Jobs,
) -> None:
    with jobs.database.transaction() as session:
        LimitStore(session).set("small", Limits(running_jobs=1))
        LimitStore(session).set("idle", Limits(running_jobs=0))
    for project in ("small", "small", "idle", "big", "big", "big"):
        jobs.add(project)

    def claim() -> str | None:
        job = jobs.do(lambda store: store.claim(WORKER, LEASE_S, 2))
        return None if job is None else job.project

    assert Counter(claim() for _ in range(5)) == {"small": 1, "big": 2, None: 2}


def test_threads_that_claim_at_once_do_not_pass_a_projects_limit(database: Database) -> None:
    with database.transaction() as session:
        LimitStore(session).set("p", Limits(running_jobs=3))
        for _ in range(10):
            JobStore(session).add(NewJob("p", "train", {}))
    together = threading.Barrier(6)

    def take(number: int) -> int:
        worker = ClaimingWorker(f"wrk_{number:026}", "cpu", frozenset())
        together.wait()
        with database.transaction() as session:
            return int(JobStore(session).claim(worker, LEASE_S) is not None)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 3


def test_a_job_that_times_has_the_gpu_worker_to_itself(jobs: Jobs) -> None:
    wide = replace(GPU, slots=2)
    timed = jobs.add(exclusive=True)
    jobs.add()
    assert jobs.claimed(wide).id == timed
    assert jobs.claim(wide) is None, "nothing beside it"
    assert jobs.claim(OTHER) is not None, "another worker goes on"


def test_a_job_that_times_waits_beside_others_but_not_for_ever(jobs: Jobs) -> None:
    wide = replace(GPU, slots=2)
    first = jobs.add()
    assert jobs.claimed(wide).id == first
    timed = jobs.add(exclusive=True)
    passing = jobs.add()
    assert jobs.claimed(wide).id == passing, "a slot is not left empty for it at once"
    jobs.watch.pass_(EXCLUSIVE_PATIENCE_S)
    jobs.add()
    assert jobs.claim(wide) is None, "the worker runs out of other jobs for it"
    for job_id in (first, passing):
        jobs.do(lambda s, job_id=job_id: s.finish(job_id, 1, Succeeded({})))  # type: ignore[misc]
    assert jobs.claimed(wide).id == timed


def test_on_a_processor_a_job_that_times_is_claimed_as_any_other(jobs: Jobs) -> None:
    wide = replace(WORKER, slots=2)
    jobs.add()
    jobs.add(exclusive=True)
    assert jobs.claim(wide) is not None
    assert jobs.claim(wide) is not None
