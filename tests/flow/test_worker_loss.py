"""Workers that die, and workers that are asked to go: no job is lost, no work is done twice."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelpress import Client
from service.client import Job
from service.contract.train import TrainResult
from service.embedded import Stack
from tests.waiting import wait_until

FAST = {
    "MODELPRESS_LEASE_S": "2",
    "MODELPRESS_HEARTBEAT_S": "0.3",
    "MODELPRESS_SWEEP_S": "0.5",
}
SPEC = {
    "kind": "train",
    "model": {"architecture": "mlp", "options": {"hidden": [64]}},
    "dataset": "digits",
    "training": {"epochs": 150},
}

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Start, Client]]:
    """A stack without a worker, and a way to start workers for it."""
    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    workers: list[subprocess.Popen[bytes]] = []

    def start_worker() -> subprocess.Popen[bytes]:
        log = (folder / f"worker-{len(workers)}.log").open("wb")
        environment = {**os.environ, "MODELPRESS_DATA_DIR": str(folder)}
        with log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "worker.main"], env=environment, stdout=log, stderr=log
            )
        workers.append(worker)
        return worker

    try:
        with Stack(folder, port=0, worker=False) as stack, Client(stack.url, stack.key) as client:
            yield start_worker, client
            for worker in workers:
                worker.kill()
                worker.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _train_until_step(client: Client, step: int) -> Job:
    job = client.submit(SPEC)

    def is_there() -> bool:
        progress = job.refresh().data.progress
        return progress is not None and progress.phase == "training" and progress.step >= step

    wait_until(is_there, 60, f"step {step}")
    return job


def test_a_killed_worker_costs_an_attempt_and_no_job(start: tuple[Start, Client]) -> None:
    start_worker, client = start
    first = start_worker()
    job = _train_until_step(client, 20)
    first.kill()
    first.wait()
    start_worker()
    wait_until(lambda: job.refresh().data.attempt == 2, 60, "the second attempt")
    job.wait(timeout=120)
    assert job.status == "succeeded"
    assert isinstance(job.result, TrainResult)
    assert [record.epoch for record in job.result.history] == list(range(1, 151))
    states = [event.data.get("status") for event in job.events() if event.type == "state"]
    assert states == ["queued", "running", "queued", "running", "succeeded"]


def test_a_stopped_worker_hands_its_job_on_from_a_checkpoint(start: tuple[Start, Client]) -> None:
    start_worker, client = start
    first = start_worker()
    job = _train_until_step(client, 20)
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 0
    job.refresh()
    assert (job.status, job.data.attempt) == ("queued", 0)  # the attempt was given back
    (checkpoint, *_) = job.checkpoints()
    assert checkpoint.step >= 20
    start_worker()
    job.wait(timeout=120)
    resumed = job.model.data.sha256

    untouched = client.submit(SPEC).wait(timeout=120).model.data.sha256
    assert resumed == untouched  # bit for bit, as if nobody had stopped it


def test_a_frozen_worker_that_wakes_changes_nothing(start: tuple[Start, Client]) -> None:
    start_worker, client = start
    first = start_worker()
    job = _train_until_step(client, 20)
    first.send_signal(signal.SIGSTOP)
    start_worker()
    wait_until(lambda: job.refresh().data.attempt == 2, 60, "the second attempt")
    second = job.data.worker
    first.send_signal(signal.SIGCONT)
    job.wait(timeout=120)
    assert job.data.worker == second
    endings = [e for e in job.events() if e.type == "state" and e.data["status"] == "succeeded"]
    assert len(endings) == 1


def test_jobs_wait_for_a_worker_and_say_so(start: tuple[Start, Client]) -> None:
    start_worker, client = start
    job = client.submit({**SPEC, "training": {"epochs": 1}})
    assert job.refresh().data.waiting_for == ("a worker",)
    gpu = client.submit({**SPEC, "device": "cuda"})
    start_worker()
    job.wait(timeout=60)
    assert gpu.refresh().data.waiting_for == ("a worker with a CUDA device",)
