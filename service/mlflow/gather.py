"""What is to be said of a job, read from the rows in one look."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.mlflow import words
from service.mlflow.server import Metric, RunStatus
from service.store.artifacts import ArtifactStore
from service.store.metrics import DEFAULT_POINTS, MetricStore
from service.store.models import ModelStore
from service.store.tables import DatasetRow, JobRow, ModelRow, ReferenceRow

MODEL_FOLDER: Final = "model"
_SENT: Final = ("report", "figure", "export")  # the rest is for later jobs of ours
_MOST_POINTS: Final = 5000  # of all series of a job together
_NOT_IN_PATHS: Final = re.compile(r"[^\w.\- ]", re.ASCII)


@dataclass(frozen=True, slots=True)
class File:
    """A blob, and its path below the run's files."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model."""

    name: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """A job that is over, in MLflow's words."""

    job_id: str
    project: str
    run_name: str
    status: RunStatus
    started_ms: int
    ended_ms: int
    params: dict[str, str]
    tags: dict[str, str]
    metrics: tuple[Metric, ...]
    files: tuple[File, ...]
    version: Version | None


def gather(session: Session, job_id: str) -> Told | None:
    """None: the job is gone."""
    job = session.get(JobRow, job_id)
    if job is None or job.finished_at is None:
        return None
    model = None if job.model_id is None else session.get(ModelRow, job.model_id)
    return Told(
        job_id=job.id,
        project=job.project,
        run_name=job.name or f"{job.kind} {job.id}",
        status=words.run_status(job.status),
        started_ms=_ms(job.started_at or job.created_at),
        ended_ms=_ms(job.finished_at),
        params=words.params(job.spec),
        tags=words.tags({**_of_job(job), **_of_inputs(session, job), **_of_model(session, model)}),
        metrics=tuple(_metrics(session, job)),
        files=tuple(_files(session, job, model)),
        version=None if model is None else _version(job, model),
    )


def _of_job(job: JobRow) -> dict[str, object]:
    error = job.error or {}
    return {
        "kind": job.kind,
        "status": job.status,
        "project": job.project,
        "name": job.name,
        "retry_of": job.retry_of,
        "request_id": job.request_id,
        "attempts": job.attempt,
        "run_seconds": round(job.run_seconds, 3),
        "queue_seconds": round(job.queue_seconds, 3),
        "seed": job.spec.get("seed"),
        "seeds": job.spec.get("seeds"),
        "error_code": error.get("code"),
        "error": error.get("message"),
        **{f"label.{name}": value for name, value in job.labels.items()},
    }


def _of_inputs(session: Session, job: JobRow) -> dict[str, object]:
    """Which things of others it was made from, and exactly which data."""
    query = select(ReferenceRow.on_id).where(ReferenceRow.job_id == job.id)
    ids = list(session.scalars(query.order_by(ReferenceRow.on_id)))
    datasets = session.execute(
        select(DatasetRow.id, DatasetRow.digest).where(DatasetRow.id.in_(ids))
    )
    digests = {f"dataset_digest.{dataset_id}": digest for dataset_id, digest in datasets}
    return {"inputs": ids, **digests}


def _of_model(session: Session, model: ModelRow | None) -> dict[str, object]:
    if model is None:
        return {}
    lineage = [row.id for row in ModelStore(session).ancestors(model)]
    return {
        "model": model.id,
        "model_sha256": model.sha256,
        "parent_model": model.parent_id,
        "lineage": lineage,
    }


def _metrics(session: Session, job: JobRow) -> Iterator[Metric]:
    """The series by step, then the key figures, each at one step."""
    store = MetricStore(session)
    names = store.names(job.id)
    most = max(2, min(DEFAULT_POINTS, _MOST_POINTS // max(1, len(names))))
    for name in names:
        for point in store.points(job.id, name, most):
            yield Metric(words.key(name), point.value, point.step, _ms(point.at))
    assert job.finished_at is not None, "it is over"
    for name, value in job.metrics.items():
        # MLflow would take it for the last point of a series of the same name
        own = f"result.{name}" if name in names else name
        yield Metric(words.key(own), float(value), 0, _ms(job.finished_at))


def _files(session: Session, job: JobRow, model: ModelRow | None) -> Iterator[File]:
    for artifact in ArtifactStore(session).list(job.id):
        if artifact.kind in _SENT:
            yield File(_safe(artifact.name), artifact.sha256, artifact.bytes)
    if model is not None:
        for file in ModelStore(session).files(model.id):
            yield File(f"{MODEL_FOLDER}/{_safe(file.name)}", file.sha256, file.bytes)


def _version(job: JobRow, model: ModelRow) -> Version:
    told: dict[str, Any] = {
        "job_id": job.id,
        "model": model.id,
        "sha256": model.sha256,
        "architecture": model.architecture,
        "form": model.form,
        "parent_model": model.parent_id,
    }
    return Version(words.registered_name(job.project, model.name), words.tags(told))


def _safe(name: str) -> str:
    """A server takes no path that leads elsewhere."""
    return _NOT_IN_PATHS.sub("_", name).lstrip(".") or "_"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
