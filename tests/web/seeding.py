"""Jobs as workers leave them, for pages to show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from service.store.jobs import JobStore
from service.store.values import (
    ClaimedJob,
    ClaimingWorker,
    JobProgress,
    NewArtifact,
    NewEvent,
    Outcome,
    Point,
)
from tests.web.conftest import Dashboard

WORKER = ClaimingWorker(
    "wrk_" + "0" * 26,
    "cpu",
    frozenset(
        [f"kind:{kind}" for kind in ("train", "distill", "prune", "benchmark")]
        + ["architecture:cnn_student", "loss:kd", "dataset:digits"]
    ),
)
TRAIN = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}
PLAN = {
    "kind": "plan",
    "of": "train",
    "models": [],
    "steps": 1,
    "summary": "It would train for a step.",
}


def submit(dashboard: Dashboard, **fields: Any) -> str:
    """A job over HTTP, to train unless another spec is given; its id."""
    answer = httpx2.post(
        f"{dashboard.url}/v1/jobs",
        json=TRAIN | fields,
        headers={"Authorization": f"Bearer {dashboard.key}"},
    )
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


@dataclass(frozen=True)
class Running:
    """A job that a worker holds, played by the test."""

    dashboard: Dashboard
    job: ClaimedJob

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    def record(
        self,
        points: Sequence[Point] = (),
        *,
        step: int = 0,
        total: int = 100,
        phase: str = "training",
        events: Sequence[NewEvent] = (),
        log: bytes = b"",
    ) -> None:
        """What its engine reports."""
        with self.dashboard.database.transaction() as session:
            progress = JobProgress(step, total, phase)
            assert JobStore(session).record(
                self.id, self.job.run, progress=progress, points=points, events=events, log=log
            )

    def keep_checkpoint(self, step: int) -> None:
        """A checkpoint of four bytes."""
        blob = self.dashboard.blobs.put_bytes(b"step")
        made = NewArtifact(
            f"checkpoint-{step}", "checkpoint", "application/x", blob.sha256, blob.bytes, step=step
        )
        with self.dashboard.database.transaction() as session:
            assert JobStore(session).add_checkpoint(self.id, self.job.run, made)

    def finish(self, outcome: Outcome) -> None:
        """How it ends."""
        with self.dashboard.database.transaction() as session:
            assert JobStore(session).finish(self.id, self.job.run, outcome)


def start(dashboard: Dashboard, **fields: Any) -> Running:
    """A job that has been submitted and taken; whatever is queued before it is taken too."""
    job_id, job = submit(dashboard, priority=9, **fields), None
    while job is None or job.id != job_id:
        with dashboard.database.transaction() as session:
            job = JobStore(session).claim(WORKER, 60.0)
        assert job is not None
    return Running(dashboard, job)


def epoch(number: int, loss: float) -> NewEvent:
    """The event of an epoch."""
    record = {
        "epoch": number,
        "losses": {"total": loss, "hard": loss},
        "train_accuracy": 0.5,
        "validation_accuracy": 0.625,
        "validation_loss": loss,
        "learning_rate": 0.001,
        "images_per_s": 1000.0,
    }
    return NewEvent("epoch", record)
