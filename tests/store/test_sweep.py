"""Whom the sweep wakes when messages were lost, and what holds it up."""

import os
import threading
from pathlib import Path

import pytest

from service import sweep
from service.blobs import open_blobs
from service.blobs.local import LocalBlobs
from service.config import Settings
from service.store.workers import WorkerStore
from service.sweep import Sweep
from tests.store.conftest import Jobs
from tests.store.samples import GPU, WORKER, worker_row
from tests.waiting import wait_until


def reminded(jobs: Jobs, tmp_path: Path) -> list[tuple[str, str]]:
    """What one look of the sweep sends, ten seconds later."""
    sent: list[tuple[str, str]] = []
    jobs.watch.pass_(10)
    settings = Settings(data_dir=tmp_path)
    blobs = open_blobs(settings.blobs, settings.staging_dir)
    Sweep(jobs.database, blobs, lambda *message: sent.append(message), settings).remind()
    return sent


def test_jobs_that_wait_for_a_gpu_keep_no_message_from_those_that_do_not(
    jobs: Jobs, tmp_path: Path
) -> None:
    on_gpu = [jobs.add(device="cuda", priority=9) for _ in range(3)]
    anywhere = jobs.add()
    jobs.watch.pass_(10)
    with jobs.database.transaction() as session:
        WorkerStore(session).register(worker_row(WORKER))
    jobs.watch.pass_(-10)  # it is alive when the sweep looks
    # one worker with one slot and no GPU: nobody would ever take a message for the others
    assert reminded(jobs, tmp_path) == [("default", anywhere)]
    with jobs.database.transaction() as session:
        WorkerStore(session).register(worker_row(GPU))
    jobs.watch.pass_(-10)
    assert reminded(jobs, tmp_path) == [
        *[("default", anywhere)],
        *[("gpu", job_id) for job_id in on_gpu[:2]],  # as many as there are free slots
    ]


def test_parts_that_nobody_added_to_go_whoever_deleted_their_row(
    jobs: Jobs, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, upload_ttl_s=60.0)
    settings.uploads_dir.mkdir()
    old, young = (settings.uploads_dir / f"upl_{'0' * 25}{end}" for end in (1, 2))
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    blobs = open_blobs(settings.blobs, settings.staging_dir)
    Sweep(jobs.database, blobs, lambda *_: None, settings).tidy()
    assert list(settings.uploads_dir.iterdir()) == [young]


class Hangs(LocalBlobs):
    """A network file system whose server is away: a look at it does not end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "blobs", folder / "staging")
        self.asked, self.back = threading.Event(), threading.Event()

    def discard_abandoned(self, older_than_s: float) -> int:
        self.asked.set()
        self.back.wait(60)
        return 0


def test_storage_that_hangs_keeps_no_job_from_being_rescued(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_HOUSEKEEPING_S", 0.0)
    hanging = Hangs(tmp_path)
    settings = Settings(data_dir=tmp_path, sweep_s=0.01)
    sweeping = Sweep(jobs.database, hanging, lambda *_: None, settings)
    sweeping.start()
    try:
        assert hanging.asked.wait(30)
        job = jobs.in_state("running")
        jobs.watch.pass_(3600)
        wait_until(lambda: jobs.row(job.id).status == "queued", 30, "the rescue")
    finally:
        hanging.back.set()
        sweeping.close()
