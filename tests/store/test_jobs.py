"""Adding, finding and removing jobs."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from service.store.errors import InvalidMove, NotFound
from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.migrate import upgrade
from service.store.models import ModelStore
from service.store.session import Database
from service.store.tables import Base, JobRow, ModelRow
from service.store.values import JobFilter, JobProgress, NewEvent, NewJob, Point, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import checkpoint, model


def test_a_new_job_is_queued_and_says_so(jobs: Jobs) -> None:
    job_id = jobs.add(name="n", labels={"team": "vision"}, timeout_s=60.0)
    row = jobs.row(job_id)
    assert (row.status, row.name, row.labels, row.run) == ("queued", "n", {"team": "vision"}, 0)
    assert row.created_at == row.queued_at == jobs.watch()
    with jobs.database.read() as session:
        (event,) = EventStore(session).list(job_id)
    assert (event.seq, event.type, event.data) == (1, "state", {"status": "queued"})


def test_pages_are_newest_first_and_overlap_nowhere(jobs: Jobs) -> None:
    made = [jobs.add() for _ in range(7)]
    jobs.add("other")
    seen: list[str] = []
    after: str | None = None
    while page := jobs.do(lambda s: s.list(JobFilter("p"), 3, after)):  # noqa: B023 - called at once
        assert len(page) <= 3
        seen += [row.id for row in page]
        after = seen[-1]
    assert seen == sorted(made, reverse=True)


def test_each_filter_finds_its_jobs_and_no_others(jobs: Jobs) -> None:
    early = jobs.add(name="Überblick_1", labels={"team": "vision", "run": "a"})
    jobs.watch.pass_(60)
    late = jobs.add(name="100% sparse", labels={"team": "speech"})

    def found(**which: object) -> list[str]:
        wanted = JobFilter("p", **which)  # type: ignore[arg-type]
        return [row.id for row in jobs.do(lambda s: s.list(wanted, 10))]

    assert found(status="queued") == sorted((early, late), reverse=True)
    assert found(status="running") == []
    assert found(kind="distill") == []
    assert found(label=("team", "vision")) == [early]
    assert found(label=("team", "visio")) == []
    assert found(q="ÜBER") == [early]
    assert found(q="speech") == [late]
    assert found(q="100%") == [late]
    assert found(q="k_1") == [early]
    assert found(q="k%1") == []
    assert found(created_after=jobs.watch() - timedelta(seconds=30)) == [late]
    assert found(created_after=jobs.watch()) == []


def test_lists_leave_results_unread(database: Database) -> None:
    with database.transaction() as session:
        JobStore(session).add(NewJob("p", "train", {}))
    with database.read() as session:
        (row,) = JobStore(session).list(JobFilter("p"), 10)
        assert "result" not in row.__dict__


@pytest.mark.parametrize("after", ["", "AND id < 'job_00000000000000000000050000'"])
@pytest.mark.parametrize("more", ["", "AND status = 'queued'", "AND kind = 'train'"])
def test_a_page_is_read_from_an_index_without_sorting(
    tmp_path: Path, after: str, more: str
) -> None:
    # SQLite only: a planner with statistics scans small tables, whatever it does to large ones
    upgrade(url := f"sqlite:///{tmp_path / 'plans.db'}")
    database = Database(url)
    query = f"SELECT id FROM jobs WHERE project = 'p' {more} {after} ORDER BY id DESC LIMIT 21"
    with database.read() as session:
        plan = " ".join(row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    database.close()
    assert "USING" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan


def test_counts_are_by_status_and_by_kind(jobs: Jobs) -> None:
    jobs.add()
    jobs.add("other")
    jobs.claimed()
    assert jobs.do(lambda s: s.counts())["running"] == 1
    mine = jobs.do(lambda s: s.counts("p"))
    assert mine["queued"] + mine["running"] == 1
    assert mine["failed"] == 0
    assert jobs.do(lambda s: s.counts_by_kind()) == {
        ("train", "queued"): 1,
        ("train", "running"): 1,
    }
    assert jobs.do(lambda s: s.leased()) == 1


def test_deletion_leaves_models_and_nothing_else(jobs: Jobs) -> None:
    job_id = jobs.add(labels={"a": "b"})
    run = jobs.claimed().run
    made = model()
    with pytest.raises(InvalidMove):
        jobs.do(lambda s: s.delete(job_id, "p"))
    jobs.do(
        lambda s: s.record(
            job_id,
            run,
            progress=JobProgress(1, 2, "training"),
            points=[Point("loss", 1, 0.5)],
            events=[NewEvent("epoch", {})],
            log=b"hello",
        )
    )
    jobs.do(lambda s: s.add_checkpoint(job_id, run, checkpoint(1)))
    jobs.do(lambda s: s.finish(job_id, run, Succeeded({}, models=(made,))))
    assert jobs.row(job_id).model_id == made.id
    jobs.do(lambda s: s.delete(job_id, "p"))
    with pytest.raises(NotFound):
        jobs.row(job_id)
    with jobs.database.read() as session:
        left = {
            table.name
            for table in Base.metadata.sorted_tables
            if session.execute(select(func.count()).select_from(table)).scalar_one()
        }
        assert left == {ModelRow.__tablename__}
        assert ModelStore(session).get(made.id).job_id is None


def test_a_retry_goes_on_from_the_checkpoint_of_a_job_that_was_deleted(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    kept = checkpoint(40)
    jobs.do(lambda s: s.add_checkpoint(job.id, job.run, kept))
    jobs.do(lambda s: s.finish(job.id, job.run, Succeeded({})))
    retry = jobs.add(retry_of=job.id, resume_from=kept.id)
    jobs.do(lambda s: s.delete(job.id, "p"))
    claimed = jobs.claimed()
    assert claimed.id == retry
    assert claimed.checkpoint is not None
    assert (claimed.checkpoint.step, claimed.checkpoint.sha256) == (40, kept.sha256)


def test_a_checkpoint_of_another_project_cannot_be_resumed_from(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    kept = checkpoint(40)
    jobs.do(lambda s: s.add_checkpoint(job.id, job.run, kept))
    with pytest.raises(NotFound):
        jobs.add("other", resume_from=kept.id)


def test_jobs_that_are_over_do_not_count_against_their_project(jobs: Jobs) -> None:
    jobs.in_state("succeeded")
    jobs.in_state("failed")
    jobs.watch.pass_(1)
    jobs.add("served-last")
    lone = jobs.claimed()
    jobs.do(lambda s: s.finish(lone.id, lone.run, Succeeded({})))
    jobs.add("served-last")
    jobs.add("p")
    assert jobs.claimed().project == "p", "of two jobs that are over none counts"


def test_the_database_refuses_a_state_that_does_not_exist(database: Database) -> None:
    with database.transaction() as session:
        JobStore(session).add(NewJob("p", "train", {}))
    with pytest.raises(Exception, match=r"(?i)constraint"), database.transaction() as session:
        session.execute(JobRow.__table__.update().values(status="lost"))  # type: ignore[attr-defined]
