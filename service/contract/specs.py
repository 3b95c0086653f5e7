"""The unions over all kinds: the two lines that a new kind adds."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from service.contract.base import Contract
from service.contract.benchmark import BenchmarkResult, BenchmarkSpec
from service.contract.distill import DistillResult, DistillSpec
from service.contract.train import TrainResult, TrainSpec

JobSpec = Annotated[TrainSpec | DistillSpec | BenchmarkSpec, Field(discriminator="kind")]
JobKind = Literal["train", "distill", "benchmark"]


class PlannedModel(Contract):
    """A model as the plan sees it."""

    role: str = Field(description="What it is for: `model`, `teacher`, `student`, `baseline` …")
    architecture: str = Field(description="Architecture name.")
    parameters: int = Field(ge=0, description="Number of parameters.")
    macs: int | None = Field(
        ge=0, description="Multiply–accumulates of one forward pass of one input."
    )


class PlanResult(Contract):
    """The result of a job with `dry_run`: what it would have done."""

    kind: Literal["plan"] = Field("plan", description="A plan.")
    of: JobKind = Field(description="The kind of job that was planned.")
    models: tuple[PlannedModel, ...] = Field(description="The models it would touch.")
    steps: int = Field(ge=0, description="Optimizer steps or timed combinations.")
    summary: str = Field(description="The plan in a sentence.")


JobResult = Annotated[
    TrainResult | DistillResult | BenchmarkResult | PlanResult, Field(discriminator="kind")
]

SPECS: TypeAdapter[TrainSpec | DistillSpec | BenchmarkSpec] = TypeAdapter(JobSpec)
RESULTS: TypeAdapter[TrainResult | DistillResult | BenchmarkResult | PlanResult] = TypeAdapter(
    JobResult
)
