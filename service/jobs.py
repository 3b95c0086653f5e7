"""The rules of jobs: what may be submitted, and what it waits for and needs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from service import architectures, audit
from service.contract.benchmark import PYTORCH, Runtime
from service.contract.catalog import BUILTIN_DATASETS, ArchitectureSpec, requirement_of
from service.contract.lifecycle import TERMINAL
from service.contract.specs import SPECS, JobSpec
from service.errors import Clash, Impossible, Invalid
from service.store.artifacts import ArtifactStore
from service.store.datasets import DatasetStore
from service.store.errors import NotFound
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.tables import JobRow
from service.store.values import NewJob

_DEPTH = 32  # jobs that wait for jobs that wait for jobs


@dataclass(frozen=True)
class Shape:
    """What is known of a model's or a dataset's outputs and inputs; None: not yet."""

    classes: int | None
    input_size: tuple[int, ...] | None
    trainable: bool = True


_NO_DATA = Shape(None, None)


@dataclass(frozen=True)
class Reference:
    """Something that a spec names, and where it names it."""

    pointer: str
    id: str


def references_of(spec: JobSpec) -> list[Reference]:
    """Every model, job and registered dataset that a spec names."""
    found: list[Reference] = []
    match spec.kind:
        case "train":
            if isinstance(spec.model, str):
                found.append(Reference("#/model", spec.model))
        case "distill":
            if spec.teacher is not None:
                found.append(Reference("#/teacher", spec.teacher))
            found += [
                Reference(f"#/teachers/{i}/model", teacher.model)
                for i, teacher in enumerate(spec.teachers)
            ]
            if isinstance(spec.student, str):
                found.append(Reference("#/student", spec.student))
        case "prune" | "export" | "quantize":
            found.append(Reference("#/model", spec.model))
        case "benchmark":
            found += [Reference(f"#/models/{i}", ref) for i, ref in enumerate(spec.models)]
    if spec.dataset is not None and spec.dataset not in BUILTIN_DATASETS:
        found.append(Reference("#/dataset", spec.dataset))
    return found


def requirements_of(spec: JobSpec) -> tuple[str, ...]:
    """What a worker must be able to do, one token each; see `worker.main.capability_tokens`."""
    tokens = [f"kind:{spec.kind}"]
    if spec.gpus > 1 and spec.device != "cpu":
        tokens.append(f"gpus:{spec.gpus}")
    if spec.dataset in BUILTIN_DATASETS:
        tokens.append(f"dataset:{spec.dataset}")
    match spec.kind:
        case "train":
            fresh = [spec.model]
        case "distill":
            fresh = [spec.student]
            tokens += [f"loss:{loss.name}" for loss in spec.losses]
        case "prune" | "export" | "quantize":
            fresh = []
        case "benchmark":
            fresh = []
            tokens += [f"runtime:{name}" for name in spec.runtimes]
    tokens += [requirement_of(m.architecture) for m in fresh if isinstance(m, ArchitectureSpec)]
    return tuple(tokens)


def check(session: Session, spec: JobSpec, project: str, alive_s: float) -> None:
    """Raises Invalid, with a pointer, for what can be known to be wrong before anything runs.

    Workers are asked what they know if they were heard of within `alive_s` seconds.
    """
    data = _NO_DATA
    if spec.dataset is not None:
        data = _dataset_shape(session, spec.dataset, project)
    shapes = {
        reference.pointer: _model_shape(session, reference, project, _DEPTH)
        for reference in references_of(spec)
        if reference.pointer != "#/dataset"
    }
    for field in ("model", "student"):
        fresh = getattr(spec, field, None)
        if isinstance(fresh, ArchitectureSpec):
            architectures.check(session, alive_s, f"#/{field}", fresh.architecture, fresh.options)
            shapes[f"#/{field}"] = _fresh_shape(fresh, data)
    for pointer, shape in shapes.items():
        if spec.kind not in ("export", "quantize"):
            _check_trainable(pointer, shape)
        _check_against_data(pointer, shape, data)
    teacher, student = shapes.get("#/teacher"), shapes.get("#/student")
    if teacher and student and _differ(teacher.classes, student.classes):
        raise Invalid.at(
            "#/student",
            f"the teacher has {teacher.classes} classes, the student {student.classes}",
            "incompatible_models",
        )
    if spec.kind == "benchmark":
        _check_something_runs(shapes, spec.runtimes)
    if spec.kind == "quantize" and spec.needs_weights and not shapes["#/model"].trainable:
        raise Invalid.at("#/model", "torchao works on weights, not on a graph", "not_trainable")
    if spec.precision == "fp16" and spec.device == "cpu":
        raise Impossible.at("#/precision", "fp16 needs a GPU; ask for bf16 or fp32 on a CPU")


def submit(session: Session, spec: JobSpec, project: str, alive_s: float) -> JobRow:
    """Check and queue."""
    check(session, spec, project, alive_s)
    return JobStore(session).add(_new_job(session, spec, project))


def _new_job(session: Session, spec: JobSpec, project: str, **extra: Any) -> NewJob:
    references = tuple(dict.fromkeys(reference.id for reference in references_of(spec)))
    brought = architectures.requirements_of(session, references, project)
    request = audit.current()
    return NewJob(
        project=project,
        kind=spec.kind,
        spec=spec.model_dump(mode="json"),
        name=spec.name,
        labels=spec.labels,
        device=spec.device,
        requires=tuple(dict.fromkeys((*requirements_of(spec), *sorted(brought)))),
        priority=spec.priority,
        exclusive=spec.kind == "benchmark" and spec.device != "cpu",
        max_attempts=spec.max_attempts,
        timeout_s=spec.timeout_s,
        references=references,
        request_id=None if request is None else request.request_id,
        traceparent=None if request is None else request.traceparent,
        **extra,
    )


def retry(
    session: Session, job_id: str, project: str, from_checkpoint: bool, alive_s: float
) -> JobRow:
    """A new job with the same spec, from the newest checkpoint or from the start."""
    old = JobStore(session).get(job_id, project)
    if old.status not in ("failed", "cancelled"):
        raise Clash(
            f"{job_id} is {old.status}; only a failed or cancelled job is retried",
            code="not_retryable",
        )
    spec = SPECS.validate_python(old.spec)
    check(session, spec, project, alive_s)
    checkpoints = ArtifactStore(session).checkpoints(job_id) if from_checkpoint else ()
    resume_from = checkpoints[0].id if checkpoints else None
    job = _new_job(session, spec, project, retry_of=job_id, resume_from=resume_from)
    return JobStore(session).add(job)


def fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 of a request, the same however its JSON was written."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _dataset_shape(session: Session, reference: str, project: str) -> Shape:
    facts = BUILTIN_DATASETS.get(reference)
    if facts is not None:
        return Shape(facts.classes, tuple(facts.input_size))
    if not reference.startswith("dst_"):
        known = ", ".join(sorted(BUILTIN_DATASETS))
        raise Invalid.at(
            "#/dataset", f"no built-in dataset '{reference}'; there is {known}", "unknown_dataset"
        )
    try:
        row = DatasetStore(session).get(reference, project)
    except NotFound:
        raise Invalid.at("#/dataset", f"no dataset {reference}", "unknown_reference") from None
    if row.status == "rejected":
        raise Invalid.at("#/dataset", f"{reference} was rejected", "unusable_reference")
    return Shape(row.classes, None if row.input_size is None else tuple(row.input_size))


def _model_shape(session: Session, reference: Reference, project: str, depth: int) -> Shape:
    try:
        if reference.id.startswith("job_"):
            job = JobStore(session).get(reference.id, project)
            return _job_shape(session, reference, job, depth)
        row = ModelStore(session).get(reference.id, project)
    except NotFound as error:
        raise Invalid.at(reference.pointer, str(error), "unknown_reference") from None
    if row.status == "rejected":
        raise Invalid.at(reference.pointer, f"{row.id} was rejected", "unusable_reference")
    size = None if row.input_size is None else tuple(row.input_size)
    return Shape(row.classes, size, row.form == "weights")


def _job_shape(session: Session, reference: Reference, job: JobRow, depth: int) -> Shape:
    """The shape of the model that a job will make, derived from its spec."""
    spec = SPECS.validate_python(job.spec)
    if spec.kind == "benchmark" or spec.kind == "export" or spec.dry_run:
        raise Invalid.at(reference.pointer, f"{job.id} makes no model", "unusable_reference")
    if job.status in TERMINAL and job.status != "succeeded":
        raise Invalid.at(reference.pointer, f"{job.id} {job.status}", "unusable_reference")
    if job.model_id is not None:
        made = Reference(reference.pointer, job.model_id)
        return _model_shape(session, made, job.project, depth)
    start = spec.student if spec.kind == "distill" else spec.model
    if isinstance(start, ArchitectureSpec):
        try:
            return _fresh_shape(start, _dataset_shape(session, spec.dataset, job.project))
        except Invalid:
            return Shape(None, None)
    if depth == 0:
        raise Invalid.at(
            reference.pointer, f"more than {_DEPTH} jobs wait in a row", "unusable_reference"
        )
    shape = _model_shape(session, Reference(reference.pointer, start), job.project, depth - 1)
    return replace(shape, trainable=False) if spec.kind == "quantize" else shape


def _fresh_shape(fresh: ArchitectureSpec, data: Shape) -> Shape:
    size = data.input_size if fresh.input_size is None else tuple(fresh.input_size)
    return Shape(fresh.classes or data.classes, size)


def _differ(one: object, other: object) -> bool:
    """Whether both are known and not the same."""
    return one is not None and other is not None and one != other


def _check_something_runs(shapes: Mapping[str, Shape], runtimes: Sequence[Runtime]) -> None:
    """A graph is skipped where only layers run, as any cell is that cannot be measured; a job in
    which that leaves nothing is refused."""
    graphs = [pointer for pointer, shape in shapes.items() if not shape.trainable]
    if len(graphs) == len(shapes) and PYTORCH.issuperset(runtimes):
        raise Invalid.at(
            graphs[0],
            f"a runtime graph does not run in {' or '.join(runtimes)}; ask for runtimes "
            "['onnxruntime']",
            "not_exportable",
        )


def _check_trainable(pointer: str, shape: Shape) -> None:
    if not shape.trainable and pointer in ("#/model", "#/student"):
        raise Invalid.at(pointer, "a runtime graph cannot be trained", "not_trainable")


def _check_against_data(pointer: str, shape: Shape, data: Shape) -> None:
    if _differ(shape.input_size, data.input_size):
        raise Invalid.at(
            pointer,
            f"takes inputs of {list(shape.input_size or ())}, "
            f"the dataset has {list(data.input_size or ())}",
            "incompatible_dataset",
        )
    if shape.classes is not None and data.classes is not None and shape.classes < data.classes:
        raise Invalid.at(
            pointer,
            f"has {shape.classes} outputs, the dataset {data.classes} classes",
            "incompatible_dataset",
        )
