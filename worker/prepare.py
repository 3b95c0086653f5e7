"""Fetches what a job reads into its folder, and writes its order."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import assert_never

from service.blobs import BlobNotFound, BlobStore
from service.contract.catalog import BUILTIN_DATASETS
from service.contract.ids import new_id
from service.contract.specs import SPECS, JobSpec
from service.store.datasets import DatasetStore
from service.store.errors import NotFound
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.session import Database
from service.store.values import ClaimedJob
from worker.order import CHECKPOINTS, ORDER, JobOrder, KnownFile, ModelInput, TeacherLogits
from worker.sensitivity import fetch_sensitivity
from worker.teacher_logits import fetch_logits

_INPUTS = "inputs"


class InputMissing(Exception):
    """Something that the spec names is gone."""


def prepare(job: ClaimedJob, folder: Path, database: Database, blobs: BlobStore) -> JobOrder:
    """Make `folder` with everything the job reads. Raises InputMissing, BlobError, OSError."""
    spec = SPECS.validate_python(job.spec)
    (folder / _INPUTS).mkdir(parents=True)
    models = {
        reference: _model(
            job.project, reference, f"{_INPUTS}/model-{index}", folder, database, blobs
        )
        for index, reference in enumerate(model_references(spec))
    }
    order = JobOrder(
        job_id=job.id,
        spec=spec,
        model_id=new_id("mdl"),
        created_at=_created_at(job.id, database),
        models=models,
        datasets=_datasets(job.project, spec, folder, database, blobs),
        teacher_logits=_teacher_logits(job.project, spec, models, folder, database, blobs),
        sensitivity=_sensitivity(job.project, spec, models, folder, database, blobs),
        checkpoint=_checkpoint(job, folder, blobs),
    )
    (folder / ORDER).write_text(order.model_dump_json(), encoding="utf-8")
    return order


def model_references(spec: JobSpec) -> Iterator[str]:
    """The models that a spec names, each once."""
    match spec.kind:
        case "train":
            yield from (spec.model,) if isinstance(spec.model, str) else ()
        case "distill":
            teachers = [teacher.model for teacher in spec.all_teachers]
            yield from teachers
            if isinstance(spec.student, str) and spec.student not in teachers:
                yield spec.student
        case "prune" | "export" | "quantize":
            yield spec.model
        case "benchmark":
            yield from spec.models
        case _:
            assert_never(spec)


def _created_at(job_id: str, database: Database) -> datetime:
    with database.read() as session:
        return JobStore(session).get(job_id).created_at


def _model(
    project: str, reference: str, name: str, folder: Path, database: Database, blobs: BlobStore
) -> ModelInput:
    try:
        with database.read() as session:
            model_id = reference
            if reference.startswith("job_"):
                model_id = JobStore(session).get(reference, project).model_id or ""
            row = ModelStore(session).get(model_id, project)
            files = ModelStore(session).files(row.id)
            model_name, sha256 = row.name, row.sha256
    except NotFound as error:
        raise InputMissing(f"the model of {reference} is gone") from error
    (folder / name).mkdir()
    try:
        for file in files:
            blobs.fetch(file.sha256, folder / name / file.name)
    except BlobNotFound as error:
        raise InputMissing(f"the files of {reference} are gone") from error
    assert sha256 is not None
    return ModelInput(id=model_id, name=model_name, folder=name, sha256=sha256)


def _datasets(
    project: str, spec: JobSpec, folder: Path, database: Database, blobs: BlobStore
) -> dict[str, str]:
    if spec.dataset is None or spec.dataset in BUILTIN_DATASETS:
        return {}
    path = f"{_INPUTS}/data.safetensors"
    digest = _dataset_digest(project, spec.dataset, database)
    try:
        blobs.fetch(digest, folder / path)
    except BlobNotFound as error:
        raise InputMissing(f"the dataset {spec.dataset} is gone") from error
    return {spec.dataset: path}


def _teacher_logits(
    project: str,
    spec: JobSpec,
    models: Mapping[str, ModelInput],
    folder: Path,
    database: Database,
    blobs: BlobStore,
) -> dict[str, TeacherLogits]:
    if spec.kind != "distill" or spec.dry_run:
        return {}
    teachers = {one.model: models[one.model].sha256 for one in spec.all_teachers}
    data = _dataset_digest(project, spec.dataset, database)
    return fetch_logits(spec, project, teachers, data, folder, database, blobs)


def _sensitivity(
    project: str,
    spec: JobSpec,
    models: Mapping[str, ModelInput],
    folder: Path,
    database: Database,
    blobs: BlobStore,
) -> KnownFile | None:
    if spec.kind != "prune":
        return None
    data = _dataset_digest(project, spec.dataset, database)
    model = models[spec.model].sha256
    return fetch_sensitivity(spec, project, model, data, folder, database, blobs)


def _dataset_digest(project: str, reference: str, database: Database) -> str:
    """Of its file; the name of a built-in one."""
    if reference in BUILTIN_DATASETS:
        return reference
    try:
        with database.read() as session:
            sha256 = DatasetStore(session).get(reference, project).sha256
    except NotFound as error:
        raise InputMissing(f"the dataset {reference} is gone") from error
    assert sha256 is not None
    return sha256


def _checkpoint(job: ClaimedJob, folder: Path, blobs: BlobStore) -> str | None:
    """The checkpoint to go on from; None where there is none, or none that can be read."""
    if job.checkpoint is None:
        return None
    path = f"{CHECKPOINTS}/from-{job.checkpoint.step}.pt"
    (folder / CHECKPOINTS).mkdir()
    try:
        blobs.fetch(job.checkpoint.sha256, folder / path)
    except BlobNotFound:
        return None
    return path
