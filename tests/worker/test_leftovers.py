"""What a killed worker leaves on the disk is deleted by another, and nothing else is."""

from pathlib import Path

from service.contract.ids import new_id
from service.store.datasets import DatasetStore
from service.store.values import NewDataset
from tests.store.conftest import Jobs
from tests.store.conftest import jobs as jobs  # the fixtures of the store
from tests.store.conftest import watch as watch
from tests.store.samples import LEASE_S, SHA, WORKER
from worker.leftovers import Leftovers


def test_folders_of_runs_that_are_over_are_deleted(jobs: Jobs, tmp_path: Path) -> None:
    over, running = jobs.in_state("failed").id, jobs.in_state("running").id
    lost = jobs.add()
    jobs.claimed()
    jobs.watch.pass_(LEASE_S + 1)
    jobs.do(lambda store: store.heartbeat(WORKER.id, [(running, 1)], LEASE_S))
    jobs.do(lambda store: store.rescue(lost, 1))
    assert jobs.claimed().run == 2
    dataset = NewDataset("d", "npz", SHA["a"])
    with jobs.database.transaction() as session:
        DatasetStore(session).add("p", dataset)
        DatasetStore(session).claim_check(WORKER.id, LEASE_S)
    dead = {f"{over}-1", f"{lost}-1", f"{dataset.id}-0"}
    used = {f"{running}-1", f"{lost}-2", f"{dataset.id}-1", f"{new_id('job')}-1", "cache"}
    for name in dead | used:
        (tmp_path / name / "inputs").mkdir(parents=True)
    assert Leftovers(jobs.database, tmp_path).clear() == len(dead)
    assert {path.name for path in tmp_path.iterdir()} >= used
    assert not {path.name for path in tmp_path.iterdir()} & dead
