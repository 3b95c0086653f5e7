"""Jobs that wait: for jobs, for models and datasets that are still checked."""

import pytest

from service.contract.job_errors import JobError
from service.store.datasets import DatasetStore
from service.store.errors import Conflict, NotFound
from service.store.models import ModelStore
from service.store.values import Failed, NewDataset, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import ACCEPTED, CRASH, LEASE_S, SHA, WORKER, model


def test_a_job_waits_until_all_it_needs_has_succeeded(jobs: Jobs) -> None:
    first, second = jobs.add(), jobs.add()
    waits = jobs.add(references=(first, second))
    row = jobs.row(waits)
    reasons = jobs.do(lambda s: s.waiting_for([row], LEASE_S)[row.id])
    assert list(reasons) == [*sorted((first, second)), "a worker"]
    runs = {job.id: job for job in (jobs.claimed(), jobs.claimed())}
    assert set(runs) == {first, second}
    assert jobs.claim() is None
    unblocked = []
    for job in runs.values():
        moved = jobs.do(lambda s, job=job: s.finish(job.id, job.run, Succeeded({})))  # type: ignore[misc]
        assert moved is not None
        unblocked.append(moved.unblocked)
    assert unblocked == [(), (waits,)]
    assert jobs.claimed().id == waits


def test_what_is_ready_already_is_not_waited_for(jobs: Jobs) -> None:
    done = jobs.in_state("succeeded")
    job_id = jobs.add(references=(done.id,))
    assert jobs.claimed().id == job_id


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_chain_fails_with_its_first_link(jobs: Jobs, how: str) -> None:
    first = jobs.add()
    second = jobs.add(references=(first,))
    third = jobs.add(references=(second,))
    paused = jobs.add(references=(first,))
    jobs.do(lambda s: s.request_pause(paused, "p"))
    free = jobs.add()
    if how == "cancelled":
        jobs.do(lambda s: s.request_cancel(first, "p"))
    else:
        run = jobs.claimed()
        jobs.do(lambda s: s.finish(first, run.run, Failed(CRASH)))
    assert jobs.row(first).status == how
    for job_id in (second, third, paused):
        row = jobs.row(job_id)
        assert row.status == "failed"
        assert row.error is not None
        assert row.error["code"] == "dependency_failed"
    assert jobs.row(free).status == "queued"


def test_a_job_that_needs_a_failed_one_has_failed_when_it_is_added(jobs: Jobs) -> None:
    lost = jobs.in_state("cancelled")
    assert jobs.row(jobs.add(references=(lost.id,))).status == "failed"


def test_a_reference_to_nothing_or_to_another_projects_thing_adds_nothing(jobs: Jobs) -> None:
    foreign = jobs.add("other")
    for missing in (foreign, "job_" + "0" * 26, "mdl_" + "0" * 26, "dst_" + "0" * 26):
        with pytest.raises(NotFound):
            jobs.add(references=(missing,))
    counts = jobs.do(lambda s: s.counts("p"))
    assert sum(counts.values()) == 0


def test_an_upload_that_is_accepted_lets_its_jobs_go(jobs: Jobs) -> None:
    upload = model(source_sha256=SHA["c"])
    with jobs.database.transaction() as session:
        ModelStore(session).add("p", upload)
    waits = jobs.add(references=(upload.id,))
    assert jobs.claim() is None
    with jobs.database.transaction() as session:
        checked = ModelStore(session).claim_check(WORKER.id, LEASE_S)
        assert checked is not None
        accepted = ModelStore(session).accept(upload.id, checked.check_run, ACCEPTED)
    assert accepted == (waits,)
    assert jobs.claimed().id == waits


def test_an_upload_that_is_rejected_fails_its_jobs(jobs: Jobs) -> None:
    upload = NewDataset("d", "npz", SHA["c"])
    with jobs.database.transaction() as session:
        DatasetStore(session).add("p", upload)
    waits = jobs.add(references=(upload.id,))
    with jobs.database.transaction() as session:
        checked = DatasetStore(session).claim_check(WORKER.id, LEASE_S)
        assert checked is not None
        error = JobError.of("invalid_dataset", "x_train is missing")
        assert DatasetStore(session).reject(upload.id, checked.check_run, error)
    assert jobs.row(waits).status == "failed"


def test_what_an_unfinished_job_needs_cannot_be_deleted(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    made = model()
    with jobs.database.transaction() as session:
        ModelStore(session).add("p", made)
    jobs.do(lambda s: s.finish(job.id, job.run, Succeeded({})))
    user = jobs.add(references=(job.id, made.id))
    with pytest.raises(Conflict, match=user):
        jobs.do(lambda s: s.delete(job.id, "p"))
    with pytest.raises(Conflict, match=user), jobs.database.transaction() as session:
        ModelStore(session).delete(made.id, "p")
    jobs.do(lambda s: s.request_cancel(user, "p"))
    jobs.do(lambda s: s.delete(job.id, "p"))
    with jobs.database.transaction() as session:
        ModelStore(session).delete(made.id, "p")
