"""What was kept long enough goes, and nothing else."""

from sqlalchemy import select

from service.auth import generate_key, new_key
from service.config import Settings
from service.keeping import forget
from service.store.artifacts import ArtifactStore
from service.store.audit import AuditFilter, AuditStore, NewEntry
from service.store.browser_sessions import SessionStore
from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.keys import KeyStore
from service.store.logs import LogStore
from service.store.metrics import MetricStore
from service.store.tables import MetricStretchRow
from service.store.values import JobFilter, NewEvent, Point, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import checkpoint

DAY_S = 86_400.0


def finished(jobs: Jobs, **fields: object) -> str:
    """A job that left something of everything, and is over."""
    job_id = jobs.add(**fields)  # type: ignore[arg-type]
    run = jobs.claimed().run
    jobs.do(
        lambda s: s.record(
            job_id,
            run,
            points=[Point("loss", 1, 0.5), Point("loss", 2, 0.25)],
            events=[NewEvent("epoch", {"epoch": 1})],
            log=b"hello\n",
        )
    )
    jobs.do(lambda s: s.add_checkpoint(job_id, run, checkpoint(1)))
    jobs.do(lambda s: s.finish(job_id, run, Succeeded({"a": 1})))
    return job_id


def left(jobs: Jobs, job_id: str) -> tuple[int, int, int, int]:
    """Checkpoints, events, points and bytes of log."""
    with jobs.database.read() as session:
        return (
            len(ArtifactStore(session).checkpoints(job_id)),
            len(EventStore(session).list(job_id)),
            MetricStore(session).series(job_id, "loss").count,
            LogStore(session).size(job_id),
        )


def test_a_process_that_stops_forgets_no_more(jobs: Jobs) -> None:
    for _ in range(3):
        finished(jobs)
    jobs.watch.pass_(2 * DAY_S)
    stops = iter([False, True, True, True, True])  # after the first batch of the first kind
    kept = Settings(keep_jobs_days=1, keep_checkpoints_days=None)
    forgotten = forget(jobs.database, kept, stopping=lambda: next(stops))
    assert forgotten == {"jobs": 2, "audit": 0, "sessions": 0}
    assert len(jobs.do(lambda s: s.list(JobFilter("p"), 10))) == 1
    assert forget(jobs.database, kept) == {"jobs": 1, "audit": 0, "sessions": 0}


def test_of_a_job_that_ended_long_ago_states_and_figures_are_left(jobs: Jobs) -> None:
    old = finished(jobs)
    jobs.watch.pass_(2 * DAY_S)
    young = finished(jobs)
    kept = Settings(
        keep_checkpoints_days=1, keep_events_days=1, keep_metrics_days=1, keep_logs_days=1
    )
    assert left(jobs, old) == left(jobs, young) == (1, 5, 2, 6)
    assert forget(jobs.database, kept) == {
        "checkpoints": 1,
        "events": 2,  # the epoch and the checkpoint
        "metrics": 2,
        "logs": 1,
        "audit": 0,
        "sessions": 0,
    }
    assert left(jobs, old) == (0, 3, 0, 0)
    assert left(jobs, young) == (1, 5, 2, 6)
    with jobs.database.read() as session:
        assert session.scalars(select(MetricStretchRow.job_id).distinct()).all() == [young]
    assert jobs.row(old).result == {"a": 1}
    assert jobs.do(lambda s: s.terminal_event_seq(old)) == 5


def test_a_job_that_lives_keeps_everything(jobs: Jobs) -> None:
    job_id = jobs.add()
    run = jobs.claimed().run
    jobs.do(lambda s: s.add_checkpoint(job_id, run, checkpoint(1)))
    jobs.watch.pass_(100 * DAY_S)
    assert forget(jobs.database, Settings(keep_checkpoints_days=1, keep_jobs_days=1)) == {
        "jobs": 0,
        "checkpoints": 0,
        "audit": 0,
        "sessions": 0,
    }


def test_jobs_go_a_time_after_their_end_unless_another_still_needs_them(jobs: Jobs) -> None:
    needed, free = finished(jobs), finished(jobs)
    jobs.add(references=(needed,))
    jobs.watch.pass_(DAY_S + 1)
    assert forget(jobs.database, Settings(keep_jobs_days=1, keep_checkpoints_days=None)) == {
        "jobs": 1,
        "audit": 0,
        "sessions": 0,
    }
    with jobs.database.read() as session:
        names = {row.id for row in JobStore(session).list(JobFilter("p"), 10)}
    assert needed in names
    assert free not in names


def test_the_audit_log_forgets_its_oldest_entries(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        AuditStore(session).add(NewEntry("delete_job", "done", target="old"))
    jobs.watch.pass_(2 * DAY_S)
    with jobs.database.transaction() as session:
        AuditStore(session).add(NewEntry("delete_job", "done", target="young"))
    assert forget(jobs.database, Settings(keep_audit_days=1))["audit"] == 1
    with jobs.database.read() as session:
        assert [row.target for row in AuditStore(session).list(AuditFilter(), 10)] == ["young"]


def test_sign_ins_that_are_over_go(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        key = KeyStore(session).create(new_key(generate_key(), "default", "one", ("read",)))
        SessionStore(session).open("a" * 64, key.id, life_s=-1.0)
        SessionStore(session).open("b" * 64, key.id, life_s=60.0)
    assert forget(jobs.database, Settings())["sessions"] == 1
    with jobs.database.read() as session:
        assert SessionStore(session).opened_by("a" * 64) is None
        found = SessionStore(session).opened_by("b" * 64)
    assert found is not None
    assert found.id == key.id
