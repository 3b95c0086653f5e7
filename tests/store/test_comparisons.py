"""Comparisons are kept as they were made."""

import pytest

from service.contract.ids import new_id
from service.store.blob_uses import blobs_in_use
from service.store.comparisons import ComparisonStore
from service.store.errors import NotFound
from service.store.finished import finished_users
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.session import Database, now
from service.store.values import NewJob, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import SHA, model

BODY = {"title": "two models", "values": {"ratio": 0.1, "nothing": None}}


@pytest.fixture
def kept(database: Database) -> str:
    with database.transaction() as session:
        comparison_id = new_id("cmp")
        ComparisonStore(session).add(comparison_id, "p", BODY, now(session))
    return comparison_id


def test_a_comparison_is_read_as_it_was_kept(database: Database, kept: str) -> None:
    with database.read() as session:
        assert ComparisonStore(session).get(kept, "p").body == BODY
        with pytest.raises(NotFound):
            ComparisonStore(session).get(kept, "other")
        with pytest.raises(NotFound):
            ComparisonStore(session).get(new_id("cmp"), "p")


def test_the_newest_come_first_without_their_values(database: Database) -> None:
    ids = [new_id("cmp") for _ in range(3)]
    with database.transaction() as session:
        for number, comparison_id in enumerate(ids):
            request = {"models": ["m"], "name": f"number {number}"}
            body = {"title": f"T{number}", "headline": '"h"', "values": {"request": request}}
            ComparisonStore(session).add(comparison_id, "p", body, now(session))
        ComparisonStore(session).add(new_id("cmp"), "other", body, now(session))
    with database.read() as session:
        store = ComparisonStore(session)
        listed = store.list("p", 2)
        assert [one.id for one in listed] == [ids[2], ids[1]]
        assert (listed[0].title, listed[0].headline) == ("T2", '"h"')
        assert listed[0].request == {"models": ["m"], "name": "number 2"}
        assert [one.id for one in store.list("p", 2, after=ids[1])] == [ids[0]]


def test_a_deleted_one_is_gone_with_its_files(database: Database, kept: str) -> None:
    with database.transaction() as session:
        ComparisonStore(session).keep_files(kept, {"report.html": (SHA["a"], 7)})
    with database.transaction() as session, pytest.raises(NotFound):
        ComparisonStore(session).delete(kept, "other")
    with database.transaction() as session:
        ComparisonStore(session).delete(kept, "p")
    with database.read() as session:
        assert ComparisonStore(session).file(kept, "report.html") is None
        assert blobs_in_use(session, [SHA["a"]]) == set()
    with database.transaction() as session, pytest.raises(NotFound):
        ComparisonStore(session).keep_files(kept, {"report.html": (SHA["a"], 7)})


def test_of_two_that_draw_at_once_the_first_one_s_files_stay(database: Database, kept: str) -> None:
    for digest in (SHA["a"], SHA["b"]):
        with database.transaction() as session:
            ComparisonStore(session).keep_files(kept, {"report.html": (digest, 7)})
    with database.read() as session:
        file = ComparisonStore(session).file(kept, "report.html")
        assert file is not None
        assert (file.sha256, file.bytes) == (SHA["a"], 7)
        assert ComparisonStore(session).file(kept, "report.png") is None


def test_the_blobs_of_a_comparison_are_in_use(database: Database, kept: str) -> None:
    with database.transaction() as session:
        ComparisonStore(session).keep_files(kept, {"report.html": (SHA["a"], 7)})
    with database.read() as session:
        assert blobs_in_use(session, [SHA["a"], SHA["b"]]) == {SHA["a"]}


def test_finished_jobs_are_found_by_what_they_name_newest_first(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        named = ModelStore(session).add("p", model()).id
    made = [_add(jobs, "benchmark", named) for _ in range(3)]
    _add(jobs, "train", named)
    _add(jobs, "benchmark")
    waiting = NewJob(project="p", kind="benchmark", spec={"kind": "benchmark"}, references=(named,))
    jobs.do(lambda store: store.add(waiting))
    with jobs.database.read() as session:
        assert finished_users(session, "p", [named], "benchmark", 9) == made[::-1]
        assert finished_users(session, "p", [named], "benchmark", 2) == made[:0:-1]
        assert finished_users(session, "q", [named], "benchmark", 9) == []


def _add(jobs: Jobs, kind: str, *names: str) -> str:
    job = NewJob(project="p", kind=kind, spec={"kind": kind}, references=names)
    with jobs.database.transaction() as session:
        JobStore(session).add(job)
    claimed = jobs.claimed()
    assert claimed.id == job.id
    jobs.do(lambda store: store.finish(job.id, claimed.run, Succeeded({})))
    return job.id
