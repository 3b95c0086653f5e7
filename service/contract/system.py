"""Workers, the queue, and what the service as a whole can do."""

from typing import Annotated, Literal

from pydantic import Field

from service.contract.base import Contract, JobId, Time
from service.contract.layers import FeatureLayers
from service.contract.lifecycle import JobStatus

Health = Literal["up", "down"]


CpuFeatures = Annotated[
    tuple[str, ...],
    Field(
        description="Of the processor's instruction sets those that decide what compression gains, "
        "as Linux names them; also of the one beside a GPU.",
        examples=[["avx2", "avx512f", "avx512_vnni"]],
    ),
]
HasInt8Products = Annotated[
    bool | None,
    Field(
        description="Whether the processor adds products of int8 in 32 bits (VNNI, AMX, Arm's dot "
        "products), without which int8 gains little; null where a worker has not said it."
    ),
]
ComputeCapability = Annotated[
    str | None,
    Field(description="Generation of the GPU; null without one.", examples=["9.0"]),
]


class Hardware(Contract):
    """What a worker computes on, as far as it decides what compression gains."""

    device: Literal["cpu", "cuda"] = Field(description="What it computes on.")
    device_name: str = Field(description="Name of the processor or GPU.")
    cpu_features: CpuFeatures = ()
    has_int8_products: HasInt8Products = None
    compute_capability: ComputeCapability = None


class WorkerAbilities(Contract):
    """What a worker can do, without the names of architectures."""

    device: Literal["cpu", "cuda"] = Field(description="What it computes on.")
    device_name: str = Field(description="Name of the processor or GPU.")
    gpus: int = Field(0, ge=0, description="CUDA devices that a job may use.")
    memory_bytes: int = Field(ge=0, description="Memory of the device.")
    cpu_features: CpuFeatures = ()
    has_int8_products: HasInt8Products = None
    compute_capability: ComputeCapability = None
    torch: str = Field(description="Version of torch.")
    libraries: dict[str, str] = Field(
        default_factory=dict, description="Versions of torch and its relatives that it has."
    )
    kinds: tuple[str, ...] = Field(description="Kinds of job.")
    losses: tuple[str, ...] = Field(description="Distillation losses.")
    pruning: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Importances, by pruning method."
    )
    runtimes: tuple[str, ...] = Field(description="Runtimes of benchmarks.")
    exporters: tuple[str, ...] = Field((), description="Formats of exports.")
    datasets: tuple[str, ...] = Field(description="Built-in datasets.")
    not_isolated_by: dict[str, str] = Field(
        default_factory=dict,
        description="Steps that keep its children apart from the machine and that the platform "
        "refused, with the reason; see docs/security.md.",
        examples=[{"files": "Function not implemented"}],
    )


class WorkerCapabilities(WorkerAbilities):
    """What a worker says of itself when it starts."""

    architectures: dict[str, tuple[str, ...]] = Field(description="Options, by architecture.")


class WorkerSummary(WorkerAbilities):
    """What a worker can do; `GET /v1/capabilities` has the names."""

    architectures: dict[str, int] = Field(
        description="Number of architectures by the library or package that brings them; "
        "`builtin` for those that come with Modelpress.",
        examples=[{"builtin": 11, "timm": 1367}],
    )


class GpuMemory(Contract):
    """How full a GPU is, with what other processes took."""

    gpu: int = Field(ge=0, description="Its number on its machine, as `nvidia-smi` has it.")
    used_bytes: int = Field(ge=0, description="Memory that is taken.")
    total_bytes: int = Field(ge=0, description="Memory that it has.")


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
    gpu_memory: tuple[GpuMemory, ...] = Field(
        (), description="Of its GPUs, a few seconds old; empty where the driver does not tell."
    )
    capabilities: WorkerSummary = Field(description="What it can do.")
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
    pruning: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Importances, by pruning method."
    )
    layers: dict[str, FeatureLayers] = Field(
        description="Layers that losses of features can read, by built-in architecture."
    )
    runtimes: tuple[str, ...] = Field(description="Runtimes of benchmarks.")
    exporters: tuple[str, ...] = Field((), description="Formats of exports.")
    datasets: tuple[str, ...] = Field(description="Built-in datasets.")
    devices: tuple[str, ...] = Field(description="Names of the devices.")
    hardware: tuple[Hardware, ...] = Field(
        (), description="What the workers compute on, each kind once."
    )
    libraries: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Versions of torch and its relatives, by name."
    )
    workers: int = Field(ge=0, description="Workers alive.")
