"""Jobs for MLflow: put down with their end, one at a time, tried again for a week."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func, select

from service.store.events import EventStore
from service.store.exports import Backlog, ClaimedExport, ExportStatus, ExportStore
from service.store.session import Database
from service.store.tables import ExportRow
from service.store.values import Succeeded
from tests.store.conftest import Jobs

DAY_S = 86_400.0
LEASE_S = 180.0


def expect(jobs: Jobs, for_s: float = 30 * DAY_S) -> None:
    with jobs.database.transaction() as session:
        ExportStore(session).expect(for_s)


def claim(database: Database) -> ClaimedExport | None:
    with database.transaction() as session:
        return ExportStore(session).claim(LEASE_S)


def claimed(jobs: Jobs) -> ClaimedExport:
    found = claim(jobs.database)
    assert found is not None
    return found


def fail(jobs: Jobs, export: ClaimedExport) -> ExportStatus | None:
    with jobs.database.transaction() as session:
        return ExportStore(session).failed(export, "no answer")


def write(jobs: Jobs, export: ClaimedExport) -> bool:
    with jobs.database.transaction() as session:
        return ExportStore(session).written(export, "http://mlflow/#/1")


def backlog(jobs: Jobs) -> Backlog:
    with jobs.database.read() as session:
        return ExportStore(session).backlog()


def last_event(jobs: Jobs, job_id: str) -> tuple[str, object]:
    with jobs.database.read() as session:
        event = EventStore(session).list(job_id)[-1]
    return event.type, event.data


def end(jobs: Jobs) -> str:
    job_id = jobs.add()
    jobs.do(lambda store: store.request_cancel(job_id, "p"))
    return job_id


def test_without_a_sink_nothing_is_put_down(jobs: Jobs) -> None:
    end(jobs)
    expect(jobs, for_s=60)
    jobs.watch.pass_(61)
    end(jobs)
    with jobs.database.read() as session:
        assert session.execute(select(func.count()).select_from(ExportRow)).scalar_one() == 0


def test_every_end_is_put_down_and_no_other_move(jobs: Jobs) -> None:
    expect(jobs)
    jobs.in_state("paused")
    assert claim(jobs.database) is None
    wanted = {jobs.in_state(status).id for status in ("succeeded", "failed", "cancelled")}
    assert {claimed(jobs).job_id for _ in range(3)} == wanted
    assert claim(jobs.database) is None


def test_two_that_claim_at_once_do_not_get_the_same(jobs: Jobs) -> None:
    expect(jobs)
    wanted = {end(jobs) for _ in range(4)}
    with ThreadPoolExecutor(4) as pool:
        claims = [pool.submit(claim, jobs.database) for _ in range(6)]
        found = [pending.result() for pending in claims]
    got = [export.job_id for export in found if export is not None]
    assert sorted(got) == sorted(wanted)


def test_who_loses_the_lease_writes_nothing_more(jobs: Jobs) -> None:
    expect(jobs)
    job_id = end(jobs)
    first = claimed(jobs)
    jobs.watch.pass_(LEASE_S - 1)
    with jobs.database.transaction() as session:
        assert ExportStore(session).extend(first, LEASE_S)
    jobs.watch.pass_(LEASE_S - 1)
    assert claim(jobs.database) is None
    jobs.watch.pass_(2)
    second = claimed(jobs)
    assert (second.job_id, second.try_) == (job_id, 2)
    with jobs.database.transaction() as session:
        assert not ExportStore(session).extend(first, LEASE_S)
    assert not write(jobs, first)
    assert fail(jobs, first) is None
    assert write(jobs, second)
    assert not write(jobs, second)
    assert last_event(jobs, job_id) == ("exported", {"to": "mlflow", "url": "http://mlflow/#/1"})
    assert jobs.do(lambda store: store.terminal_event_seq(job_id)) == jobs.row(job_id).event_seq - 1


def test_waits_grow_to_an_hour_and_end_after_a_week(jobs: Jobs) -> None:
    expect(jobs)
    job_id = end(jobs)
    began = jobs.watch.time
    for wait_s in (5, 60, 300, 1800, 3600, 3600):
        assert fail(jobs, claimed(jobs)) == "pending"
        jobs.watch.pass_(wait_s - 1)
        assert claim(jobs.database) is None
        jobs.watch.pass_(wait_s * 0.2 + 1)
    assert backlog(jobs) == Backlog(1, 0, (jobs.watch.time - began).total_seconds())
    jobs.watch.time = began + timedelta(days=7)
    assert fail(jobs, claimed(jobs)) == "failed"
    assert last_event(jobs, job_id) == (
        "warning",
        {"message": "not written to MLflow: no answer"},
    )
    assert claim(jobs.database) is None
    assert backlog(jobs) == Backlog(0, 1, 0.0)


def test_a_service_that_was_off_for_weeks_tries_more_than_once(jobs: Jobs) -> None:
    expect(jobs)
    end(jobs)
    jobs.watch.pass_(20 * DAY_S)
    assert fail(jobs, claimed(jobs)) == "pending"


def test_a_deleted_job_is_not_written(jobs: Jobs) -> None:
    expect(jobs)
    job_id = jobs.add()
    run = jobs.claimed()
    jobs.do(lambda store: store.finish(job_id, run.run, Succeeded({})))
    export = claimed(jobs)
    jobs.do(lambda store: store.delete(job_id, "p"))
    assert not write(jobs, export)
    assert fail(jobs, export) is None
    assert backlog(jobs) == Backlog(0, 0, 0.0)
