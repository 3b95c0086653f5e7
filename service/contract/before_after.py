"""Baseline against compressed: what a compressing job gained, and what that cost."""

from pydantic import Field

from service.contract.base import Contract, Share
from service.contract.benchmark import PairedSpeedup, ProcessResult, Runtime
from service.contract.training import Evaluation, ModelFacts


class ComparedModel(Contract):
    """One of the two, as its saved file was found."""

    facts: ModelFacts = Field(description="Its size. Of several teachers: of the first.")
    stored_bytes: int = Field(
        ge=1, description="Bytes of its smallest weights file: one without zeros counts."
    )
    test: Evaluation = Field(
        description="On the test split. Of several teachers: of what they say together."
    )
    process: ProcessResult | None = Field(
        None,
        description="A fresh process that loaded it and answered the first of the batch sizes. "
        "Null where nothing was timed.",
    )


class ComparedLatency(PairedSpeedup):
    """Both, timed in interleaved turns of one run."""

    runtime: Runtime = Field(description="What ran the compressed model.")
    precision: str = Field(description="The arithmetic that this runtime did.")
    baseline_runtime: Runtime = Field(
        description="What ran the baseline. A baseline of layers in a runtime of graphs is its "
        "float32 graph."
    )
    baseline_precision: str = Field(description="The arithmetic that this runtime did.")
    threads: int = Field(ge=1, description="Threads of one operator.")
    baseline_p50_ms: float = Field(gt=0, description="Median of a forward pass of the baseline.")
    compressed_p50_ms: float = Field(gt=0, description="Median of the compressed model.")


class BeforeAfter(Contract):
    """The model that a job started from, or learnt from, beside the one it made."""

    baseline: ComparedModel = Field(description="The original, or the teacher.")
    compressed: ComparedModel = Field(description="What the job made.")
    compression_ratio: float = Field(gt=0, description="Baseline parameters ÷ compressed ones.")
    nonzero_compression_ratio: float = Field(gt=0, description="The same of those not zero.")
    macs_ratio: float | None = Field(gt=0, description="Baseline MACs ÷ compressed ones.")
    size_ratio: float = Field(gt=0, description="Compressed `stored_bytes` ÷ the baseline's.")
    accuracy_retention: float = Field(ge=0, description="Compressed test accuracy ÷ baseline's.")
    accuracy_change_points: float = Field(description="Minus the baseline's, percentage points.")
    class_change_points: tuple[float | None, ...] = Field(description="The same for each class.")
    loss_change: float = Field(description="Compressed test loss minus the baseline's, in nats.")
    agreement: Share = Field(
        description="Share of test examples on which both give the same top prediction."
    )
    latencies: tuple[ComparedLatency, ...] = Field(
        description="By batch size and runtime. Empty where nothing was timed."
    )
    memory_ratio: float | None = Field(
        gt=0,
        description="Compressed peak memory of the process ÷ the baseline's, libraries included.",
    )
