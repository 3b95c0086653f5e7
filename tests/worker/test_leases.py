"""What the heartbeat does with a job that its worker lost and then got again."""

from service.store.tables import WorkerRow
from tests.store.conftest import Jobs
from tests.store.conftest import jobs as jobs  # the fixtures of the store
from tests.store.conftest import watch as watch
from tests.store.samples import LEASE_S, WORKER, worker_row
from worker.leases import Heartbeat


def test_a_run_that_was_lost_unheard_does_not_cost_its_successor_the_lease(jobs: Jobs) -> None:
    beat = Heartbeat(jobs.database, worker_row(WORKER), interval_s=1, lease_s=LEASE_S)
    job_id = jobs.add()
    runs = []
    for _ in range(2):
        claimed = jobs.claimed()
        runs.append(beat.hold(claimed.id, claimed.run))
        jobs.watch.pass_(LEASE_S + 1)
        if len(runs) < 2:
            jobs.do(lambda store: store.rescue(job_id, 1))
    beat._beat()
    assert [run.lost.is_set() for run in runs] == [True, False]
    assert jobs.do(lambda store: store.lapsed(10)) == []


def test_a_worker_that_drains_says_so_with_its_next_beat(jobs: Jobs) -> None:
    beat = Heartbeat(jobs.database, worker_row(WORKER), interval_s=1, lease_s=LEASE_S)
    beat.drain()
    beat._beat()
    with jobs.database.read() as session:
        row = session.get(WorkerRow, WORKER.id)
    assert row is not None
    assert row.draining
