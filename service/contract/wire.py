"""What the HTTP interface shows and takes besides specs: resources, lists, problems."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from service.contract.base import (
    Contract,
    JobId,
    Labels,
    ModelId,
    ResourceName,
    Sha256,
    Share,
    Time,
)
from service.contract.job_errors import JobError
from service.contract.lifecycle import JobStatus
from service.contract.specs import JobKind, JobResult, JobSpec

T = TypeVar("T")

Scope = Literal["read", "write", "admin"]


class Page(Contract, Generic[T]):
    """A page of a list, newest first; `after=last_id` asks for the next one."""

    object: Literal["list"] = Field("list", description="Always `list`.")
    data: tuple[T, ...] = Field(description="The items.")
    has_more: bool = Field(description="Whether another page follows.")
    last_id: str | None = Field(description="Cursor: pass it as `after`.")


class ProblemItem(Contract):
    """One thing that was wrong with a request."""

    detail: str = Field(description="What is wrong.")
    pointer: str = Field(description="JSON pointer into the request.", examples=["#/loss/alpha"])


class Problem(Contract):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="A URI that names the kind of problem.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened this time.")
    instance: str = Field(description="The path that was asked for.")
    code: str = Field(description="The kind of problem for programs.", examples=["not_found"])
    request_id: str = Field(description="Quote it when you ask for help.")
    errors: tuple[ProblemItem, ...] = Field((), description="Each field that was wrong.")


class Progress(Contract):
    """How far a job is."""

    step: int = Field(ge=0, description="Steps done.")
    total: int = Field(ge=0, description="Steps in all; 0 while unknown.")
    fraction: Share = Field(description="step ÷ total.")
    phase: str = Field(description="What it is doing.", examples=["training"])
    eta_s: float | None = Field(description="Seconds left at the present pace.")


class JobRead(Contract):
    """A job."""

    id: JobId = Field(description="Sortable by time.")
    object: Literal["job"] = Field("job", description="Always `job`.")
    kind: JobKind = Field(description="What kind of job.")
    status: JobStatus = Field(description="See docs/job-states.md.")
    name: str | None = Field(description="The name given at submission.")
    labels: Labels = Field(description="The labels given at submission.")
    project: str = Field(description="Whose it is.")
    spec: JobSpec = Field(description="What was asked, defaults filled in.")
    progress: Progress | None = Field(description="How far it is.")
    waiting_for: tuple[str, ...] = Field(description="Why it is still queued, if it waits.")
    attempt: int = Field(ge=0, description="Starts that counted.")
    max_attempts: int = Field(ge=1, description="Starts allowed.")
    error: JobError | None = Field(description="Why it failed.")
    result: JobResult | None = Field(
        description="What came out. Null in lists, where `metrics` has its key figures."
    )
    metrics: dict[str, float] = Field(
        description="Key figures of the result.", examples=[{"test_accuracy": 0.97}]
    )
    model: ModelId | None = Field(description="The model it made.")
    retry_of: JobId | None = Field(description="The job this one repeats.")
    created_at: Time = Field(description="When it was accepted.")
    started_at: Time | None = Field(description="When it first started.")
    finished_at: Time | None = Field(description="When it reached a final state.")
    queue_seconds: float = Field(ge=0, description="Time spent waiting.")
    run_seconds: float = Field(ge=0, description="Time spent running, over all attempts.")
    worker: str | None = Field(description="Who runs it, or ran it last.")


class Validated(Contract):
    """The answer to `?validate_only=true`: the spec is good; nothing was queued."""

    object: Literal["validated"] = Field("validated", description="Always `validated`.")
    spec: JobSpec = Field(description="The spec with every default filled in.")


class EventRead(Contract):
    """Something that happened to a job. Ids grow within a job, without gaps."""

    id: int = Field(ge=1, description="Within the job; in the stream of all jobs, over all.")
    object: Literal["event"] = Field("event", description="Always `event`.")
    job: JobId = Field(description="The job.")
    type: str = Field(
        description="`state`, `phase`, `epoch`, `checkpoint`, `warning` or `exported`; streams "
        "also carry `progress`, which is not kept."
    )
    created_at: Time = Field(description="When.")
    data: dict[str, Any] = Field(description="What, by type.")


class MetricPoint(Contract):
    """One value of a series."""

    step: int = Field(ge=0, description="Optimizer step.")
    value: float = Field(description="The value.")
    at: Time = Field(description="When it was recorded.")


class MetricSeries(Contract):
    """A series, thinned out to the points asked for."""

    name: str = Field(description="Name of the metric.", examples=["validation_accuracy"])
    count: int = Field(ge=0, description="Points kept, above `after` where it was given.")
    points: tuple[MetricPoint, ...] = Field(description="In order of steps.")


class MetricsRead(Contract):
    """The series of a job."""

    object: Literal["list"] = Field("list", description="Always `list`.")
    data: tuple[MetricSeries, ...] = Field(description="One per name.")


class ArtifactRead(Contract):
    """A file that a job made."""

    id: str = Field(description="The artifact.", examples=["art_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["artifact"] = Field("artifact", description="Always `artifact`.")
    job: JobId = Field(description="The job that made it.")
    name: str = Field(description="File name.", examples=["report.html"])
    kind: str = Field(description="`report`, `figure`, `model` …")
    media_type: str = Field(description="Media type.")
    bytes: int = Field(ge=0, description="Size.")
    sha256: Sha256 = Field(description="Digest.")
    created_at: Time = Field(description="When.")


class CheckpointRead(Contract):
    """A point from which a job can go on."""

    id: str = Field(description="The artifact that holds it.")
    object: Literal["checkpoint"] = Field("checkpoint", description="Always `checkpoint`.")
    job: JobId = Field(description="The job.")
    step: int = Field(ge=0, description="Optimizer steps done.")
    bytes: int = Field(ge=0, description="Size.")
    sha256: Sha256 = Field(description="Digest.")
    created_at: Time = Field(description="When.")


class FileRead(Contract):
    """An uploaded file."""

    object: Literal["file"] = Field("file", description="Always `file`.")
    name: str = Field(description="Its name within the project.")
    bytes: int = Field(ge=0, description="Size.")
    sha256: Sha256 = Field(description="Digest.")
    created_at: Time = Field(description="When.")


class UploadCreate(Contract):
    """Announces a file that will come in parts."""

    name: ResourceName = Field(
        description="Name of the file to make.",
        examples=["resnet.safetensors"],
        json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f/\\]+$"},  # with slashes: `bad_name`
    )
    bytes: int = Field(ge=1, description="Its size.")
    sha256: Sha256 | None = Field(None, description="Its digest, checked at the end.")


class UploadRead(Contract):
    """A file on its way. `PATCH` the bytes from `offset` on, with the header Upload-Offset."""

    id: str = Field(description="The upload.", examples=["upl_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["upload"] = Field("upload", description="Always `upload`.")
    name: str = Field(description="Name of the file to make.")
    bytes: int = Field(ge=1, description="Size announced.")
    offset: int = Field(ge=0, description="Bytes received.")
    sha256: Sha256 | None = Field(description="Digest announced.")
    created_at: Time = Field(description="When.")


class KeyCreate(Contract):
    """Asks for a key."""

    name: ResourceName = Field("key", description="What it is for.")
    project: str = Field(
        "default", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Whose things it opens."
    )
    scopes: tuple[Scope, ...] = Field(
        ("read", "write"), min_length=1, max_length=8, description="`admin` manages keys."
    )
    expires_at: Time | None = Field(None, description="When it ends. None: when revoked.")


class KeyRotate(Contract):
    """Asks for a key in the place of another."""

    grace_s: int = Field(
        3600, ge=0, le=30 * 86_400, description="How long the old key still opens. 0: not at all."
    )
    expires_at: Time | None = Field(
        None,
        description="When the new key ends. None: it lives as long as the old one was made to; "
        "without an end if that had none.",
    )


class KeyRead(Contract):
    """A key, without its secret."""

    id: str = Field(description="The key.", examples=["key_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["key"] = Field("key", description="Always `key`.")
    name: str = Field(description="What it is for.")
    project: str = Field(description="Whose things it opens.")
    scopes: tuple[Scope, ...] = Field(description="What it may do.")
    hint: str = Field(description="Its first characters.", examples=["mp_Qm3x"])
    created_at: Time = Field(description="When it was made.")
    expires_at: Time | None = Field(description="When it ends.")
    last_used_at: Time | None = Field(description="When it last opened something, to the minute.")
    rotated_to: str | None = Field(None, description="The key that has taken its place.")


class KeyCreated(KeyRead):
    """A key with its secret, shown this once."""

    key: str = Field(description="The secret: send it as `Authorization: Bearer …`.")
