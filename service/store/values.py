"""What goes into and comes out of the stores, beside rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Literal

from service.contract.ids import new_id
from service.contract.job_errors import JobError
from service.contract.lifecycle import JobStatus

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to queue. `references` are the ids (job_, mdl_, dst_) that its spec names: it waits
    for those that are not ready. `resume_from` is a checkpoint artifact, which it gets a copy of.
    An `exclusive` one takes times: on a GPU no other job may run beside it. `request_id` and
    `traceparent` are of the request that asks for it.
    """

    project: str
    kind: str
    spec: JsonObject
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    requires: tuple[str, ...] = ()
    priority: int = 5
    exclusive: bool = False
    max_attempts: int = 3
    timeout_s: float | None = None
    references: tuple[str, ...] = ()
    retry_of: str | None = None
    resume_from: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    id: str = field(default_factory=lambda: new_id("job"))


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None leaves a field open. `q` is a part of the name or of a label."""

    project: str
    status: JobStatus | None = None
    kind: str | None = None
    label: tuple[str, str] | None = None
    q: str | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClaimingWorker:
    """Who asks for work: a CUDA worker takes jobs of every device, a CPU worker no CUDA jobs."""

    id: str
    device: Literal["cpu", "cuda"]
    capabilities: frozenset[str]
    slots: int = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where to go on from."""

    id: str
    sha256: str
    bytes: int
    step: int


@dataclass(frozen=True, slots=True)
class Clocks:
    """How long a job waited and ran so far."""

    id: str
    kind: str
    status: JobStatus
    queue_seconds: float
    run_seconds: float


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that is now the worker's until the lease ends. `run` goes with every later write.

    `run_seconds` is what earlier runs took, which counts towards `timeout_s`.
    """

    id: str
    project: str
    kind: str
    spec: JsonObject
    device: str
    run: int
    attempt: int
    max_attempts: int
    timeout_s: float | None
    run_seconds: float
    lease_until: datetime
    checkpoint: Checkpoint | None
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Steps done and in all (0 while unknown), and the phase."""

    step: int
    total: int
    phase: str


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a series. ValueError unless finite."""

    name: str
    step: int
    value: float

    def __post_init__(self) -> None:
        if not isfinite(self.value):
            raise ValueError(f"metric {self.name} is not finite at step {self.step}")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something to remember: `phase`, `epoch`, `warning` …"""

    type: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file that a job made, already among the blobs."""

    name: str
    kind: str
    media_type: str
    sha256: str
    bytes: int
    step: int | None = None
    id: str = field(default_factory=lambda: new_id("art"))


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model's folder, already among the blobs."""

    name: str
    sha256: str
    bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model. With `source_sha256` it is an upload, to be checked; else it is ready.

    `source` is the upload's format; what it has to say itself is None until the check.
    """

    name: str
    architecture: str | None
    options: JsonObject
    classes: int | None
    input_size: tuple[int, ...] | None
    normalisation: JsonObject | None
    source: str | None = None
    form: Literal["weights", "graph"] = "weights"
    labels: tuple[str, ...] | None = None
    parameters: int | None = None
    macs: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    parent_id: str | None = None
    files: tuple[ModelFile, ...] = ()
    source_sha256: str | None = None
    id: str = field(default_factory=lambda: new_id("mdl"))


@dataclass(frozen=True, slots=True)
class AcceptedModel:
    """What the check of a model found; `notes` tell what it did to make it fit."""

    form: Literal["weights", "graph"]
    architecture: str
    options: JsonObject
    classes: int
    input_size: tuple[int, ...]
    normalisation: JsonObject
    labels: tuple[str, ...] | None
    notes: tuple[str, ...]
    parameters: int
    macs: int | None
    size_bytes: int
    sha256: str
    files: tuple[ModelFile, ...]


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset to be checked: an upload, or `path` in a declared `source`."""

    name: str
    format: str
    source_sha256: str | None
    source: str | None = None
    path: str | None = None
    validation_share: float = 0.1
    image_size: int | None = None
    undecodable_share: float = 0.01
    seed: int = 0
    id: str = field(default_factory=lambda: new_id("dst"))


@dataclass(frozen=True, slots=True)
class AcceptedDataset:
    """What the check of a dataset found, and the blob in canonical form."""

    classes: int
    input_size: tuple[int, ...]
    labels: tuple[str, ...] | None
    splits: Mapping[str, int]
    class_counts: Mapping[str, tuple[int, ...]]
    normalisation: JsonObject
    findings: JsonObject
    contact_sheet_sha256: str | None
    digest: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class NewWorker:
    """A worker process that starts. `tokens` are the capabilities that jobs may require."""

    id: str
    hostname: str
    version: str
    device: Literal["cpu", "cuda"]
    slots: int
    queues: tuple[str, ...]
    capabilities: JsonObject
    tokens: frozenset[str]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make; the secret stays with the caller."""

    project: str
    name: str
    scopes: tuple[str, ...]
    secret_sha256: str
    hint: str
    expires_at: datetime | None = None
    id: str = field(default_factory=lambda: new_id("key"))


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The job did what was asked. Its `model_id` becomes the first of `models`."""

    result: JsonObject
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: tuple[NewArtifact, ...] = ()
    models: tuple[NewModel, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed; with `retry` it is queued again while attempts are left."""

    error: JobError
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It stopped because a cancel was asked for."""


@dataclass(frozen=True, slots=True)
class Paused:
    """It stopped at a checkpoint because a pause was asked for; the attempt is given back."""


@dataclass(frozen=True, slots=True)
class Released:
    """Its worker shuts down politely; the attempt is given back."""


Outcome = Succeeded | Failed | Cancelled | Paused | Released


@dataclass(frozen=True, slots=True)
class Moved:
    """A job's new state, and the jobs that became eligible by it: nudge them after commit."""

    status: JobStatus
    unblocked: tuple[str, ...] = ()
