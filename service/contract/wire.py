"""What the HTTP interface shows and takes besides specs: resources, lists, problems."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from service.contract.base import (
    ClassName,
    Contract,
    InputSize,
    JobId,
    Labels,
    ModelId,
    ResourceName,
    Sha256,
    Share,
    Time,
)
from service.contract.catalog import ArchitectureSpec
from service.contract.job_errors import JobError
from service.contract.lifecycle import JobStatus
from service.contract.specs import JobKind, JobResult, JobSpec

T = TypeVar("T")

Scope = Literal["read", "write", "admin"]
CheckStatus = Literal["checking", "ready", "rejected"]
Health = Literal["up", "down"]


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
        description="`state`, `phase`, `epoch`, `checkpoint` or `warning`; streams also carry "
        "`progress`, which is not kept."
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
    count: int = Field(ge=0, description="Points kept in all.")
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
        description="Name of the file to make.", examples=["resnet.safetensors"]
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


class Normalisation(Contract):
    """What is done to an input: (x ÷ 255 − mean) ÷ std, per channel."""

    mean: tuple[float, ...] = Field(min_length=1, max_length=64, description="Per channel.")
    std: tuple[float, ...] = Field(min_length=1, max_length=64, description="Per channel.")

    @field_validator("std")
    @classmethod
    def _is_positive(cls, std: tuple[float, ...]) -> tuple[float, ...]:
        if any(value <= 0 for value in std):
            raise PydanticCustomError("not_positive", "every std must be above zero")
        return std


class ModelCreate(ArchitectureSpec):
    """Registers weights that were uploaded."""

    file: ResourceName = Field(description="The uploaded file.", examples=["resnet20.safetensors"])
    name: ResourceName | None = Field(None, description="What to call it. None: the file's name.")
    classes: int = Field(ge=2, le=100_000, description="Outputs.")
    input_size: InputSize
    normalisation: Normalisation | None = Field(
        None, description="None: mean 0 and std 1, that is x ÷ 255."
    )
    labels: tuple[ClassName, ...] | None = Field(
        None, max_length=100_000, description="Names of the classes, by index."
    )


class ModelRead(Contract):
    """A model."""

    id: ModelId = Field(description="Sortable by time.")
    object: Literal["model"] = Field("model", description="Always `model`.")
    name: str = Field(description="What it is called.")
    status: CheckStatus = Field(description="`checking` until a worker has looked inside.")
    form: Literal["weights", "graph"] = Field(description="`graph`s cannot be trained.")
    architecture: str = Field(description="Architecture name.")
    options: dict[str, Any] = Field(description="Its options.")
    classes: int = Field(description="Outputs.")
    input_size: InputSize
    normalisation: Normalisation = Field(description="What is done to an input.")
    labels: tuple[str, ...] | None = Field(description="Names of the classes.")
    parameters: int | None = Field(description="Number of parameters.")
    macs: int | None = Field(description="Multiply–accumulates of one input.")
    size_bytes: int | None = Field(description="Bytes of model.safetensors.")
    sha256: Sha256 | None = Field(description="Digest of model.safetensors.")
    metrics: dict[str, float] = Field(description="What is known of it, such as `test_accuracy`.")
    parent: ModelId | None = Field(description="The model it was made from.")
    job: JobId | None = Field(description="The job that made it.")
    error: JobError | None = Field(description="Why it was rejected.")
    created_at: Time = Field(description="When.")


class LineageRead(Contract):
    """A model's ancestors, nearest first, and its children."""

    object: Literal["lineage"] = Field("lineage", description="Always `lineage`.")
    model: ModelRead = Field(description="The model.")
    ancestors: tuple[ModelRead, ...] = Field(description="Parent, grandparent …")
    children: tuple[ModelRead, ...] = Field(description="Models made from it.")


DatasetFormat = Literal["npz", "image_zip"]


class DatasetCreate(Contract):
    """Registers data that was uploaded."""

    file: ResourceName = Field(description="The uploaded file.", examples=["flowers.zip"])
    name: ResourceName | None = Field(None, description="What to call it. None: the file's name.")
    format: DatasetFormat = Field(
        description="`npz`: arrays x_train, y_train, x_test, y_test. `image_zip`: a zip of an "
        "ImageFolder, `train/`, `validation/`, `test/` or one tree of classes."
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.9, description="Cut from train, stratified, if there is no validation."
    )
    image_size: int | None = Field(
        None, ge=1, le=1024, description="`image_zip`: side to resize to. None: the commonest size."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of the splits.")


class SplitSizes(Contract):
    """Examples per split."""

    train: int = Field(ge=0, description="To learn from.")
    validation: int = Field(ge=0, description="To select by.")
    test: int = Field(ge=0, description="To report on.")


class DatasetRead(Contract):
    """A dataset: immutable once `ready`."""

    id: str = Field(description="The dataset.", examples=["dst_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["dataset"] = Field("dataset", description="Always `dataset`.")
    name: str = Field(description="What it is called.")
    status: CheckStatus = Field(description="`checking` until a worker has looked inside.")
    format: DatasetFormat = Field(description="As uploaded.")
    classes: int | None = Field(description="Number of classes.")
    input_size: InputSize | None = Field(description="Shape of one example.")
    labels: tuple[str, ...] | None = Field(description="Names of the classes.")
    splits: SplitSizes | None = Field(description="Examples per split.")
    class_counts: dict[str, tuple[int, ...]] | None = Field(
        description="Examples per class, by split."
    )
    normalisation: Normalisation | None = Field(description="Channel statistics of train.")
    digest: Sha256 | None = Field(description="SHA-256 over all arrays.")
    bytes: int | None = Field(description="Size as kept.")
    error: JobError | None = Field(description="Why it was rejected.")
    created_at: Time = Field(description="When.")


class KeyCreate(Contract):
    """Asks for a key."""

    name: ResourceName = Field("key", description="What it is for.")
    project: str = Field(
        "default", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Whose things it opens."
    )
    scopes: tuple[Scope, ...] = Field(
        ("read", "write"), min_length=1, description="`admin` manages keys."
    )
    expires_at: Time | None = Field(None, description="When it ends. None: when revoked.")


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


class KeyCreated(KeyRead):
    """A key with its secret, shown this once."""

    key: str = Field(description="The secret: send it as `Authorization: Bearer …`.")


class WorkerCapabilities(Contract):
    """What a worker can do."""

    device: Literal["cpu", "cuda"] = Field(description="What it computes on.")
    device_name: str = Field(description="Name of the processor or GPU.")
    memory_bytes: int = Field(ge=0, description="Memory of the device.")
    torch: str = Field(description="Version of torch.")
    kinds: tuple[str, ...] = Field(description="Kinds of job.")
    architectures: dict[str, tuple[str, ...]] = Field(description="Options, by architecture.")
    losses: tuple[str, ...] = Field(description="Distillation losses.")
    runtimes: tuple[str, ...] = Field(description="Runtimes of benchmarks.")
    datasets: tuple[str, ...] = Field(description="Built-in datasets.")


class WorkerRead(Contract):
    """A worker process."""

    id: str = Field(description="The worker.")
    object: Literal["worker"] = Field("worker", description="Always `worker`.")
    hostname: str = Field(description="Where it runs.")
    version: str = Field(description="Version of Modelpress.")
    alive: bool = Field(description="Heard of within the lease.")
    draining: bool = Field(description="Finishing; takes nothing new.")
    slots: int = Field(ge=1, description="Jobs at once.")
    jobs: tuple[JobId, ...] = Field(description="What it runs now.")
    queues: tuple[str, ...] = Field(description="What it serves.")
    capabilities: WorkerCapabilities = Field(description="What it can do.")
    started_at: Time = Field(description="When it started.")
    seen_at: Time = Field(description="Last heartbeat.")


class QueueRead(Contract):
    """How much work there is."""

    object: Literal["queue"] = Field("queue", description="Always `queue`.")
    jobs: dict[JobStatus, int] = Field(description="Jobs of this project by status.")
    oldest_queued_s: float | None = Field(description="Age of the oldest eligible job.")
    workers: int = Field(ge=0, description="Workers alive.")
    slots: int = Field(ge=0, description="Jobs that can run at once.")


class Ready(Contract):
    """Whether requests can be served, and what they stand on."""

    status: Literal["ready", "degraded", "unavailable"] = Field(
        description="`degraded`: jobs are accepted, and start within seconds instead of at once."
    )
    database: Health = Field(description="The rows.")
    blobs: Health = Field(description="The bytes.")
    broker: Health = Field(description="The wake-up calls; jobs are found without them too.")


class CapabilitiesRead(Contract):
    """What the workers alive can do, together."""

    object: Literal["capabilities"] = Field("capabilities", description="Always `capabilities`.")
    version: str = Field(description="Version of the service.")
    kinds: tuple[str, ...] = Field(description="Kinds of job.")
    architectures: dict[str, tuple[str, ...]] = Field(description="Options, by architecture.")
    losses: tuple[str, ...] = Field(description="Distillation losses.")
    runtimes: tuple[str, ...] = Field(description="Runtimes of benchmarks.")
    datasets: tuple[str, ...] = Field(description="Built-in datasets.")
    devices: tuple[str, ...] = Field(description="Names of the devices.")
    workers: int = Field(ge=0, description="Workers alive.")
