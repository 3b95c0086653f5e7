"""The unions over all kinds: the two lines that a new kind adds."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from service.contract.base import Contract
from service.contract.benchmark import BenchmarkResult, BenchmarkSpec
from service.contract.distill import DistillResult, DistillSpec
from service.contract.export import ExportResult, ExportSpec
from service.contract.prune import PruneSpec
from service.contract.prune_result import PruneResult
from service.contract.quantize import QuantizeSpec
from service.contract.quantize_result import QuantizeResult
from service.contract.train import TrainResult, TrainSpec

_Spec = TrainSpec | DistillSpec | PruneSpec | BenchmarkSpec | ExportSpec | QuantizeSpec
JobSpec = Annotated[_Spec, Field(discriminator="kind")]
JobKind = Literal["train", "distill", "prune", "benchmark", "export", "quantize"]


class PlannedModel(Contract):
    """A model as the plan sees it."""

    role: str = Field(description="What it is for: `model`, `teacher`, `student`, `baseline` …")
    architecture: str = Field(description="Architecture name.")
    parameters: int = Field(ge=0, description="Number of parameters.")
    macs: int | None = Field(
        ge=0, description="Multiply–accumulates of one forward pass of one input."
    )
    latency_ms: float | None = Field(
        None, gt=0, description="Of `prune`: a quick look at the median for one input, in turns."
    )


class PlannedLayers(Contract):
    """Layers that would be cut together."""

    layers: tuple[str, ...] = Field(description="Their names.")
    channels_before: int = Field(ge=1, description="Outputs, or heads of attention, they have.")
    channels_after: int = Field(ge=1, description="Outputs or heads that would stay.")


class PlanResult(Contract):
    """The result of a job with `dry_run`: what it would have done."""

    kind: Literal["plan"] = Field("plan", description="A plan.")
    of: JobKind = Field(description="The kind of job that was planned.")
    models: tuple[PlannedModel, ...] = Field(description="The models it would touch.")
    layers: tuple[PlannedLayers, ...] = Field((), description="What would be cut, of `prune`.")
    warnings: tuple[str, ...] = Field((), description="What a careful reader should know.")
    steps: int = Field(ge=0, description="Optimizer steps or timed combinations.")
    summary: str = Field(description="The plan in a sentence.")


_Result = (
    TrainResult
    | DistillResult
    | PruneResult
    | BenchmarkResult
    | ExportResult
    | QuantizeResult
    | PlanResult
)
JobResult = Annotated[_Result, Field(discriminator="kind")]

SPECS: TypeAdapter[_Spec] = TypeAdapter(JobSpec)
RESULTS: TypeAdapter[_Result] = TypeAdapter(JobResult)
