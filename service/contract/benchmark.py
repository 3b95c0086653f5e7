"""`benchmark`: models measured side by side, on their saved files, in one run."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from service.contract.base import (
    Contract,
    DatasetRef,
    EachOnce,
    JobSpecBase,
    ModelId,
    ModelRef,
    Share,
)
from service.contract.training import DataFacts, Environment, Evaluation, ModelFacts

Runtime = Literal[
    "eager", "torch_compile", "aotinductor", "onnxruntime", "openvino", "executorch", "tensorrt"
]
PYTORCH: Final[frozenset[Runtime]] = frozenset({"eager", "torch_compile", "aotinductor"})
"""Runtimes of layers: a graph is skipped in them."""
BatchSize = Annotated[int, Field(ge=1, le=4096)]
MOST_PROCESSES: Final = 48
"""Of one measurement: all models' together, which are in memory at once."""
LatencyBatchSizes = Annotated[
    tuple[BatchSize, ...],
    Field(
        max_length=8,
        description="Where before and after are timed side by side. Empty: neither their latency "
        "nor their memory is measured.",
    ),
]


class BenchmarkSpec(JobSpecBase):
    """Measure accuracy, size and latency of several models; the first one is the baseline."""

    model_config = ConfigDict(
        title="benchmark",
        json_schema_extra={
            "examples": [
                {
                    "kind": "benchmark",
                    "models": [
                        "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                        "job_01JD8Z6Q5T3V9X7B2C4D6F8G0J",
                    ],
                    "dataset": "digits",
                    "batch_sizes": [1, 32],
                    "runtimes": ["eager", "onnxruntime"],
                }
            ]
        },
    )

    kind: Literal["benchmark"] = Field("benchmark", description="The kind of job.")
    models: Annotated[tuple[ModelRef, ...], EachOnce] = Field(
        min_length=1, max_length=16, description="The first is the baseline of every ratio."
    )
    dataset: DatasetRef
    batch_sizes: Annotated[tuple[BatchSize, ...], EachOnce] = Field(
        (1, 32), min_length=1, max_length=8, description="Inputs per forward pass."
    )
    runtimes: Annotated[tuple[Runtime, ...], EachOnce] = Field(
        ("eager",),
        min_length=1,
        max_length=16,
        description="What runs the saved file. One that the worker lacks, or that cannot run a "
        "model, is skipped with a reason.",
    )
    precisions: Annotated[tuple[Literal["fp32", "bf16", "fp16"], ...], EachOnce] = Field(
        (),
        max_length=3,
        description="Arithmetic to measure in. Empty: `precision`. A runtime that has no such "
        "arithmetic runs its own, and the result says which.",
    )
    warmup_s: float = Field(
        0.3, ge=0, le=60, description="Least warm-up of each combination, in seconds."
    )
    blocks: int = Field(
        10, ge=2, le=100, description="Turns each process gets, interleaved: A B A B."
    )
    executions: int = Field(
        3,
        ge=1,
        le=10,
        description="Fresh processes of each combination, all resident at once. Two processes of "
        "one file differ for as long as they live, and with a single one an interval cannot know. "
        "`models` × `executions` is at most 48: each takes some 0.4 GB and its model.",
    )
    block_s: float = Field(
        0.2, gt=0, le=60, description="Length of one turn, in seconds; at least three samples."
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads of one operator. None: all processors."
    )

    @field_validator("executions")
    @classmethod
    def _fit_into_memory(cls, executions: int, info: ValidationInfo) -> int:
        if executions * len(info.data.get("models", ())) > MOST_PROCESSES:
            raise PydanticCustomError(
                "impossible_combination",
                "models × executions is at most {most}, so many processes are in memory at once",
                {"most": MOST_PROCESSES},
            )
        return executions


class LatencyResult(Contract):
    """Latency of one model in one runtime at one batch size."""

    runtime: Runtime = Field(description="What ran it.")
    batch_size: int = Field(ge=1, description="Inputs per forward pass.")
    precision: str = Field(description="The arithmetic actually run.")
    threads: int = Field(ge=1, description="Threads of one operator.")
    p50_ms: float = Field(gt=0, description="Median of a forward pass, in milliseconds.")
    p90_ms: float = Field(gt=0, description="90th percentile.")
    p95_ms: float = Field(gt=0, description="95th percentile.")
    p99_ms: float = Field(gt=0, description="99th percentile.")
    mean_ms: float = Field(gt=0, description="Mean.")
    std_ms: float = Field(ge=0, description="Standard deviation.")
    variation: float = Field(ge=0, description="Coefficient of variation: std ÷ mean.")
    throughput_per_s: float = Field(gt=0, description="Inputs per second at the median.")
    quantiles_ms: tuple[float, ...] = Field(
        (),
        description="Quantiles from 0 to 100 % in steps of 5 %. Every sample is in the artifact "
        "`latency-samples.json`.",
    )
    energy_mj_per_input: float | None = Field(
        None,
        ge=0,
        description="Energy that the device used in the timed turns, in millijoules an input, idle "
        "power included. Null where it does not report it.",
    )
    energy_source: Literal["nvml", "rapl"] | None = Field(
        None, description="Who counted: the GPU (`nvml`) or the processor's packages (`rapl`)."
    )
    samples_ms: tuple[float, ...] = Field(
        (), description="In results of older jobs: every sample, in the order taken."
    )


class PairedSpeedup(Contract):
    """How much faster one model is than another, measured side by side in one run."""

    batch_size: int = Field(ge=1, description="Inputs per forward pass.")
    speedup: float = Field(gt=0, description="Median of paired ratios: baseline ÷ this model.")
    low: float = Field(gt=0, description="Lower end of the 95 % bootstrap interval.")
    high: float = Field(gt=0, description="Upper end of the 95 % bootstrap interval.")


class SpeedupResult(PairedSpeedup):
    """How much faster a model is than the baseline, in one runtime."""

    runtime: Runtime = Field(description="What ran it.")
    precision: str | None = Field(None, description="The arithmetic of this model.")


class ProcessResult(Contract):
    """The process that one model had in one runtime to itself."""

    runtime: Runtime = Field(description="What ran it.")
    precision: str = Field(description="The arithmetic actually run.")
    cold_start_s: float = Field(
        gt=0,
        description="Loading the file and answering the first batch, in seconds, in a fresh "
        "process whose libraries are loaded; the median over the executions. Compilation counts "
        "where a start needs it: there it is the execution that found nothing compiled.",
    )
    peak_rss_bytes: int = Field(gt=0, description="Largest resident memory of a process.")
    libraries_rss_bytes: int = Field(gt=0, description="Resident memory before the model came.")
    peak_device_bytes: int | None = Field(
        None, ge=0, description="Largest memory that torch allocated on the GPU."
    )
    file_bytes: int = Field(gt=0, description="Size of the file that the runtime loads.")
    max_abs_difference: float = Field(
        ge=0, description="Largest difference of logits from eager float32 on one random batch."
    )
    scored_inputs: int | None = Field(
        None,
        ge=1,
        description="Inputs of the test split, evenly spread over it, that this runtime classified "
        "after it was timed: 512 at most.",
    )
    accuracy: Share | None = Field(None, description="Its accuracy on these.")
    agreement: Share | None = Field(
        None, description="Share of these that it classifies as the model in eager float32 does."
    )


class SkippedCell(Contract):
    """A combination that was not measured."""

    runtime: Runtime = Field(description="The runtime.")
    code: str = Field(description="Why, for programs.")
    reason: str = Field(description="Why, in words.")


class BenchmarkedModel(Contract):
    """One model's row: size, accuracy, latency, and the ratios to the baseline."""

    facts: ModelFacts = Field(description="Its size.")
    test: Evaluation = Field(description="Its score on the test split.")
    latencies: tuple[LatencyResult, ...] = Field(description="One per runtime and batch size.")
    speedups: tuple[SpeedupResult, ...] = Field(description="Against the baseline.")
    runtime_speedups: tuple[SpeedupResult, ...] = Field(
        (), description="Against the baseline in the first runtime: what a change of both gains."
    )
    processes: tuple[ProcessResult, ...] = Field((), description="One per runtime and precision.")
    skipped: tuple[SkippedCell, ...] = Field((), description="What was not measured, and why.")
    compression_ratio: float = Field(gt=0, description="Baseline parameters ÷ this model's.")
    size_ratio: float = Field(gt=0, description="This model's bytes ÷ the baseline's.")
    accuracy_retention: float = Field(ge=0, description="This accuracy ÷ the baseline's.")
    accuracy_change_points: float = Field(description="Minus the baseline's, percentage points.")


class BenchmarkResult(Contract):
    """What a `benchmark` job measured."""

    kind: Literal["benchmark"] = Field("benchmark", description="The kind of job.")
    baseline: ModelId = Field(description="The first model of the spec.")
    models: tuple[BenchmarkedModel, ...] = Field(description="In the order of the spec.")
    data: DataFacts = Field(description="The data.")
    environment: Environment = Field(description="Where it ran.")
    timing_environment: dict[str, str] = Field(
        default_factory=dict,
        description="What the timing processes were told about threads and memory; empty: nothing, "
        "the libraries' defaults.",
    )
    seed: int = Field(description="The seed of inputs and bootstrap.")
    warnings: tuple[str, ...] = Field(
        (), description="What a careful reader should know; noise is in each `variation`."
    )
