"""Comparisons: models side by side, from values that jobs have measured already."""

from typing import Annotated, Literal, Self, get_args

from annotated_types import Len
from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import (
    Contract,
    EachOnce,
    JobId,
    ModelId,
    ModelRef,
    ResourceName,
    Sha256,
    Share,
    Time,
)
from service.contract.ids import ULID_PATTERN
from service.contract.models import Form
from service.contract.prune import Targets
from service.contract.reports import Document
from service.contract.specs import JobKind
from service.contract.training import DataFacts, Evaluation

Axis = Literal["latency_ms", "size_bytes", "macs", "parameters"]
AXES: tuple[Axis, ...] = get_args(Axis)
"""What accuracy may be weighed against; less of each is better."""
TargetOutcome = Literal["met", "missed", "not_measured"]
ComparisonId = Annotated[str, StringConstraints(pattern=rf"^cmp_{ULID_PATTERN}$")]
DeviceKey = Annotated[str, StringConstraints(pattern=r"^device-[0-9]+$")]


class ComparisonCreate(Contract):
    """Compares models by what was measured of them: nothing is run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "models": [
                        "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                        "job_01JD8Z6Q5T3V9X7B2C4D6F8G0J",
                    ],
                    "targets": {"max_accuracy_drop_points": 1.0, "min_speedup": 2.0},
                }
            ]
        }
    )

    # One is enough where it is a benchmark: what they stand for is counted when they are resolved.
    models: Annotated[tuple[ModelRef, ...], Len(1, 32), EachOnce] = Field(
        description="Models and finished jobs that stand for 2 to 32 models. A job stands for the "
        "model it made, a benchmark for all that it measured.",
    )
    baseline: ModelRef | None = Field(
        None, description="What the others are held against: one of the models. None: the first."
    )
    targets: Targets | None = Field(
        None, description="Promises to judge every model by, against the baseline."
    )
    axes: Annotated[tuple[Axis, ...], Len(1, 4), EachOnce] = Field(
        AXES, description="What accuracy is weighed against, a Pareto front for each."
    )
    name: ResourceName | None = Field(None, description="A name for people; need not be unique.")


class ComparisonDevice(Contract):
    """Where latencies were measured. Those of two devices are never divided by each other."""

    key: DeviceKey = Field(description="What latencies name it by.", examples=["device-1"])
    device: str = Field(description="`cpu` or `cuda`.")
    name: str = Field(description="Marketing name of the processor or GPU.")
    threads: int = Field(ge=1, description="Threads of one operator.")


class ComparisonSpeedup(Contract):
    """How many times faster than the baseline, both timed in one run of one job."""

    value: float = Field(
        gt=0, description="Median of paired ratios; without an interval, ratio of two medians."
    )
    low: float | None = Field(None, gt=0, description="Lower end of the 95 % interval.")
    high: float | None = Field(None, gt=0, description="Upper end of the 95 % interval.")
    job: JobId = Field(description="The job that timed both.")


class ComparisonLatency(Contract):
    """Latency of a model in one runtime on one device."""

    device: DeviceKey = Field(description="One of `devices`.")
    runtime: str = Field(description="What ran it.")
    batch_size: int = Field(ge=1, description="Inputs per forward pass.")
    precision: str = Field(description="The arithmetic actually run.")
    p50_ms: float = Field(gt=0, description="Median of a forward pass, in milliseconds.")
    p95_ms: float | None = Field(None, gt=0, description="95th percentile.")
    variation: float | None = Field(None, ge=0, description="Standard deviation ÷ mean.")
    job: JobId = Field(description="The job that measured it.")
    speedup: ComparisonSpeedup | None = Field(
        None, description="Against the baseline in the same runtime; null where no run timed both."
    )


class ComparisonProcess(Contract):
    """What a model takes in one runtime on one device."""

    device: DeviceKey = Field(description="One of `devices`.")
    runtime: str = Field(description="What ran it.")
    precision: str = Field(description="The arithmetic actually run.")
    cold_start_s: float = Field(gt=0, description="Loading the file and the first answer.")
    peak_rss_bytes: int = Field(gt=0, description="Largest resident memory of the process.")
    libraries_rss_bytes: int = Field(gt=0, description="Of that, before the model came.")
    peak_device_bytes: int | None = Field(None, ge=0, description="Largest memory on the GPU.")
    job: JobId = Field(description="The job that measured it.")


class AgainstBaseline(Contract):
    """A model held against the baseline. Null where one of the two was not measured."""

    compression_ratio: float | None = Field(ge=0, description="Baseline parameters ÷ these.")
    nonzero_compression_ratio: float | None = Field(
        ge=0, description="Baseline non-zero parameters ÷ these."
    )
    size_ratio: float | None = Field(
        ge=0, description="Bytes of the smallest weights file ÷ the baseline's."
    )
    macs_ratio: float | None = Field(ge=0, description="Baseline MACs ÷ these.")
    accuracy_retention: float | None = Field(ge=0, description="Accuracy ÷ the baseline's.")
    accuracy_change_points: float | None = Field(
        description="Minus the baseline's, in percentage points."
    )
    loss_change: float | None = Field(description="Loss minus the baseline's.")
    class_change_points: tuple[float | None, ...] = Field(
        description="Accuracy of each class minus the baseline's, in percentage points."
    )
    agreement: Share | None = Field(
        description="Share of test examples with the baseline's top prediction, where a job that "
        "held the two against each other says it."
    )


class TargetVerdict(Contract):
    """One promise, and what was reached."""

    name: str = Field(description="As in `targets`.", examples=["max_accuracy_drop_points"])
    asked: float = Field(description="The promise.")
    outcome: TargetOutcome = Field(description="`not_measured` is neither kept nor broken.")
    reached: float | None = Field(description="What was measured, in the promise's own terms.")
    missed_by: float | None = Field(
        ge=0, description="How far `reached` is from the promise, in its terms; null if not missed."
    )
    device: DeviceKey | None = Field(None, description="Of latency and speed-up: where.")
    runtime: str | None = Field(None, description="Of latency and speed-up: the fastest runtime.")


class Verdict(Contract):
    """Whether a model keeps the targets."""

    outcome: TargetOutcome = Field(
        description="`missed` if one promise is, on any device; else `not_measured` if one is."
    )
    targets: tuple[TargetVerdict, ...] = Field(
        description="Each promise; of latency and speed-up one for each device."
    )


class ComparisonModel(Contract):
    """A model with all that is known of it. Null is what nobody has measured."""

    model: ModelId = Field(description="The model.")
    name: str = Field(
        description="What to call it here: its number and name.", examples=["#2 cnn_student"]
    )
    form: Form = Field(description="`graph`: a file for a runtime.")
    architecture: str | None = Field(description="Architecture name.")
    parent: ModelId | None = Field(description="The model it was made from.")
    job: JobId | None = Field(description="The job that made it, if it is still there.")
    made_by: JobKind | None = Field(description="The kind of that job.")
    parameters: int | None = Field(ge=0, description="Number of parameters.")
    nonzero_parameters: int | None = Field(ge=0, description="Parameters that are not zero.")
    macs: int | None = Field(ge=0, description="Multiply–accumulates of one input.")
    size_bytes: int | None = Field(ge=0, description="Bytes of model.safetensors, or model.onnx.")
    sparse_bytes: int | None = Field(
        ge=0, description="Bytes of the file without the zeros; null where there is none."
    )
    sha256: Sha256 | None = Field(description="Digest of the weights file.")
    test: Evaluation | None = Field(description="On the test split of `data`.")
    latencies: tuple[ComparisonLatency, ...] = Field(description="By device, runtime, batch size.")
    processes: tuple[ComparisonProcess, ...] = Field(description="By device and runtime.")
    against: AgainstBaseline | None = Field(description="Null for the baseline.")
    verdict: Verdict | None = Field(description="Null without targets.")

    @property
    def smallest_bytes(self) -> int | None:
        """Of the smaller weights file, where there are two."""
        known = [size for size in (self.size_bytes, self.sparse_bytes) if size is not None]
        return min(known, default=None)

    def fastest(self, device: str | None, batch_size: int | None) -> ComparisonLatency | None:
        """The lowest median on a device at a batch size, over runtimes and precisions."""
        here = (device, batch_size)
        timed = (one for one in self.latencies if (one.device, one.batch_size) == here)
        return min(timed, key=lambda one: one.p50_ms, default=None)


class FrontPoint(Contract):
    """A model between accuracy and one cost."""

    model: ModelId = Field(description="The model.")
    cost: float = Field(ge=0, description="In the unit of the axis.")
    accuracy: Share = Field(description="On the test split.")
    is_on_front: bool = Field(
        description="Whether no other is at least as good in both and better in one."
    )
    runtime: str | None = Field(None, description="Of a latency: the runtime it was fastest in.")
    precision: str | None = Field(None, description="Of a latency: the arithmetic.")


class ParetoFront(Contract):
    """Accuracy against one cost. Models that lack one of the two are left out."""

    axis: Axis = Field(description="The cost; less is better.")
    device: DeviceKey | None = Field(None, description="Of latency: there is a front for each.")
    batch_size: int | None = Field(None, description="Of latency: inputs per forward pass.")
    points: tuple[FrontPoint, ...] = Field(description="Cheapest first.")

    @property
    def on_front(self) -> tuple[ModelId, ...]:
        """The models that no other beats."""
        return tuple(point.model for point in self.points if point.is_on_front)


class ComparisonSource(Contract):
    """A job whose figures were read."""

    job: JobId = Field(description="The job; it may be deleted since.")
    kind: JobKind = Field(description="Its kind.")
    name: str | None = Field(description="Its name.")
    finished_at: Time = Field(description="When its figures were complete.")
    device: str = Field(description="Name of its device.")
    dataset: str | None = Field(description="The data it read.")
    libraries: dict[str, str] = Field(description="Versions of torch and its relatives.")


class ComparisonValues(Contract):
    """Everything that a comparison's tables and figures are drawn from."""

    request: ComparisonCreate = Field(description="What was asked, defaults filled in.")
    baseline: ModelId = Field(description="What the others are held against.")
    data: DataFacts | None = Field(
        description="Accuracies are of this test split; scores on others are left out."
    )
    labels: tuple[str, ...] | None = Field(description="Names of the classes.")
    batch_size: int | None = Field(
        description="Inputs per forward pass in the summary and the fronts: that of targets of "
        "latency, else the one that most models were timed at."
    )
    devices: tuple[ComparisonDevice, ...] = Field(description="Where latencies were measured.")
    models: tuple[ComparisonModel, ...] = Field(description="In the order of the request.")
    fronts: tuple[ParetoFront, ...] = Field(description="By axis.")
    sources: tuple[ComparisonSource, ...] = Field(description="Jobs that were read.")
    warnings: tuple[str, ...] = Field(description="What was left out, and why.")

    @model_validator(mode="after")
    def _has_its_baseline(self) -> Self:
        if self.baseline not in {one.model for one in self.models}:
            raise PydanticCustomError("impossible_combination", "the baseline is one of the models")
        return self

    @property
    def reference(self) -> ComparisonModel:
        """The baseline."""
        return next(one for one in self.models if one.model == self.baseline)


class Comparison(Document):
    """Models side by side: values, then the tables and figures drawn from them."""

    object: Literal["comparison"] = Field("comparison", description="Always `comparison`.")
    id: ComparisonId = Field(description="Sortable by time.")
    created_at: Time = Field(description="When the values were gathered; they stay as they are.")
    values: ComparisonValues = Field(description="What everything else is drawn from.")


class ComparisonListed(Contract):
    """A comparison in a list, without its values."""

    id: ComparisonId = Field(description="Sortable by time.")
    object: Literal["comparison"] = Field("comparison", description="Always `comparison`.")
    title: str = Field(description="Its name.")
    headline: str = Field(description="What was gained, in numbers.")
    request: ComparisonCreate = Field(description="What was asked, defaults filled in.")
    created_at: Time = Field(description="When the values were gathered.")
