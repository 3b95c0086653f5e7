"""What is shown: rows in the words of the contract."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from service.contract.catalog import family_of
from service.contract.datasets import DatasetFindings, DatasetRead, SplitSizes
from service.contract.job_errors import JobError
from service.contract.lifecycle import LEASED
from service.contract.models import ModelRead
from service.contract.normalisation import Normalisation
from service.contract.specs import RESULTS, SPECS
from service.contract.system import GpuMemory, WorkerCapabilities, WorkerRead, WorkerSummary
from service.contract.wire import (
    ArtifactRead,
    CheckpointRead,
    EventRead,
    FileRead,
    JobRead,
    KeyRead,
    Page,
    Progress,
    UploadRead,
)
from service.store.tables import (
    ArtifactRow,
    DatasetRow,
    EventRow,
    FileRow,
    JobRow,
    KeyRow,
    ModelRow,
    UploadRow,
    WorkerRow,
)

T = TypeVar("T")


def page(items: Sequence[T], limit: int, ids: Sequence[str]) -> Page[T]:
    """A page of at most `limit` of the items, of which the caller fetched one more."""
    shown = tuple(items[:limit])
    return Page[T](
        data=shown,
        has_more=len(items) > limit,
        last_id=ids[len(shown) - 1] if shown else None,
    )


def job_read(
    row: JobRow, moment: datetime, waits_for: Sequence[str], *, with_result: bool = True
) -> JobRead:
    """A job; its clocks run up to `moment`."""
    return JobRead(
        id=row.id,
        kind=row.kind,
        status=row.status,
        name=row.name,
        labels=row.labels,
        project=row.project,
        spec=SPECS.validate_python(row.spec),
        progress=progress_read(row, moment),
        waiting_for=tuple(waits_for),
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        error=error_read(row.error),
        result=RESULTS.validate_python(row.result) if with_result and row.result else None,
        metrics=row.metrics,
        model=row.model_id,
        retry_of=row.retry_of,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        queue_seconds=_clock(row.queue_seconds, row.queued_at, moment, row.status == "queued"),
        run_seconds=_clock(row.run_seconds, row.run_started_at, moment, row.status in LEASED),
        worker=row.worker_id,
    )


def error_read(error: dict[str, object] | None) -> JobError | None:
    """Why a job, model or dataset failed."""
    return None if error is None else JobError.model_validate(error)


def _clock(seconds: float, since: datetime | None, moment: datetime, runs: bool) -> float:
    if runs and since is not None:
        seconds += max(0.0, (moment - since).total_seconds())
    # What a run waited for the machine is taken off at once, and by another clock.
    return round(max(0.0, seconds), 3)


def progress_read(row: JobRow, moment: datetime) -> Progress | None:
    """How far a job is; None before it has started."""
    if row.progress_phase is None:
        return None
    step, total = row.progress_step, row.progress_total
    fraction = min(1.0, step / total) if total else 0.0
    if row.status == "succeeded":  # its last phase counted no steps
        fraction = 1.0
    eta_s = None
    if row.status == "running" and row.run_started_at is not None and 0 < fraction < 1:
        ran = (moment - row.run_started_at).total_seconds()
        eta_s = round(ran * (1 - fraction) / fraction, 1)
    return Progress(
        step=step, total=total, fraction=fraction, phase=row.progress_phase, eta_s=eta_s
    )


def event_read(row: EventRow, *, of_all: bool = False) -> EventRead:
    """An event, numbered within its job or over all jobs."""
    return EventRead(
        id=row.id if of_all else row.seq,
        job=row.job_id,
        type=row.type,
        created_at=row.created_at,
        data=row.data,
    )


def artifact_read(row: ArtifactRow) -> ArtifactRead:
    """An artifact."""
    return ArtifactRead(
        id=row.id,
        job=row.job_id,
        name=row.name,
        kind=row.kind,
        media_type=row.media_type,
        bytes=row.bytes,
        sha256=row.sha256,
        created_at=row.created_at,
    )


def checkpoint_read(row: ArtifactRow) -> CheckpointRead:
    """A checkpoint."""
    return CheckpointRead(
        id=row.id,
        job=row.job_id,
        step=row.step or 0,
        bytes=row.bytes,
        sha256=row.sha256,
        created_at=row.created_at,
    )


def file_read(row: FileRow) -> FileRead:
    """An uploaded file."""
    return FileRead(name=row.name, bytes=row.bytes, sha256=row.sha256, created_at=row.created_at)


def upload_read(row: UploadRow) -> UploadRead:
    """A file on its way."""
    return UploadRead(
        id=row.id,
        name=row.name,
        bytes=row.bytes,
        offset=row.offset,
        sha256=row.sha256,
        created_at=row.created_at,
    )


def model_read(row: ModelRow, *, listed: bool = False) -> ModelRead:
    """A model; in a list without the names of its classes."""
    return ModelRead(
        id=row.id,
        name=row.name,
        status=row.status,
        form=row.form,
        source=row.source,
        architecture=row.architecture,
        options=row.options,
        classes=row.classes,
        input_size=None if row.input_size is None else tuple(row.input_size),
        normalisation=_normalisation(row.normalisation),
        labels=None if listed or row.labels is None else tuple(row.labels),
        parameters=row.parameters,
        macs=row.macs,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        metrics=row.metrics,
        parent=row.parent_id,
        job=row.job_id,
        notes=tuple(row.notes),
        error=error_read(row.error),
        created_at=row.created_at,
    )


def _normalisation(found: Mapping[str, Any] | None) -> Normalisation | None:
    return None if found is None else Normalisation.model_validate(found)


def dataset_read(row: DatasetRow, *, listed: bool = False) -> DatasetRead:
    """A dataset; in a list without what there is of each class."""
    counts = None if listed else row.class_counts
    return DatasetRead(
        id=row.id,
        name=row.name,
        status=row.status,
        format=row.format,
        classes=row.classes,
        input_size=None if row.input_size is None else tuple(row.input_size),
        labels=None if listed or row.labels is None else tuple(row.labels),
        splits=None if row.splits is None else SplitSizes(**row.splits),
        class_counts=None if counts is None else {k: tuple(v) for k, v in counts.items()},
        normalisation=_normalisation(row.normalisation),
        findings=None if row.findings is None else DatasetFindings.model_validate(row.findings),
        contact_sheet=row.contact_sheet_sha256 is not None,
        source=row.source,
        path=row.path,
        digest=row.digest,
        bytes=row.bytes,
        error=error_read(row.error),
        created_at=row.created_at,
    )


def key_read(row: KeyRow) -> KeyRead:
    """A key, without its secret."""
    return KeyRead(
        id=row.id,
        name=row.name,
        project=row.project,
        scopes=tuple(row.scopes),
        hint=row.hint,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        rotated_to=row.rotated_to,
    )


def worker_read(
    row: WorkerRow, jobs: Sequence[str], moment: datetime, alive_s: float
) -> WorkerRead:
    """A worker process, and those of its jobs that may be shown."""
    return WorkerRead(
        id=row.id,
        hostname=row.hostname,
        version=row.version,
        alive=(moment - row.seen_at).total_seconds() <= alive_s,
        draining=row.draining,
        slots=row.slots,
        jobs=tuple(jobs),
        queues=tuple(row.queues),
        gpu_memory=tuple(GpuMemory.model_validate(memory) for memory in row.gpu_memory or ()),
        capabilities=_summary(WorkerCapabilities.model_validate(row.capabilities)),
        started_at=row.started_at,
        seen_at=row.seen_at,
    )


def _summary(seen: WorkerCapabilities) -> WorkerSummary:
    """Without the names, of which there may be thousands."""
    families = Counter(family_of(name) or "builtin" for name in seen.architectures)
    return WorkerSummary.model_validate(seen.model_dump() | {"architectures": dict(families)})
