"""Attempts that run out while a pause is under way, and clocks that jump."""

import pytest

from service.store.values import Failed, Succeeded
from tests.store.conftest import Jobs
from tests.store.samples import CRASH, LEASE_S


def test_a_lost_worker_uses_up_the_last_attempt_of_a_pausing_job_too(jobs: Jobs) -> None:
    job_id = jobs.add(max_attempts=1)
    job = jobs.claimed()
    jobs.do(lambda s: s.request_pause(job_id, "p"))
    jobs.watch.pass_(LEASE_S + 1)
    moved = jobs.do(lambda s: s.rescue(job_id, job.run))
    assert moved is not None
    assert moved.status == "failed"  # paused, it could be resumed to an attempt too many
    error = jobs.row(job_id).error
    assert error is not None
    assert error["code"] == "worker_lost"


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_jumps_delays_no_job(jobs: Jobs, hours: int) -> None:
    first = jobs.add()
    jobs.watch.pass_(3600 * hours)
    run = jobs.claimed()
    assert run.id == first
    jobs.do(lambda s: s.finish(run.id, run.run, Failed(CRASH, retry=True)))
    assert jobs.claim() is None  # it waits its second all the same
    jobs.watch.pass_(3600 * hours + 2 if hours < 0 else 2)
    again = jobs.claimed()
    jobs.do(lambda s: s.finish(again.id, again.run, Succeeded({})))
    row = jobs.row(first)
    assert row.queue_seconds >= 0
    assert row.run_seconds >= 0
