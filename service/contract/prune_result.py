"""What a `prune` job made, and what that was worth."""

from typing import Literal

from pydantic import Field

from service.contract.base import Contract, ModelId, Share
from service.contract.before_after import BeforeAfter
from service.contract.benchmark import PairedSpeedup
from service.contract.training import (
    DataFacts,
    Environment,
    EpochRecord,
    Evaluation,
    ModelFacts,
)

StageName = Literal["original", "cut", "recalibrated", "finetuned"]


class StageResult(Contract):
    """The model at one point of the job."""

    stage: StageName = Field(description="`cut` is straight after it, before any repair.")
    validation_accuracy: Share = Field(description="On the validation split.")
    test: Evaluation = Field(description="On the test split, with accuracy per class.")


class StepResult(Contract):
    """One step of a schedule, or the only one."""

    step: int = Field(ge=1, description="Counted from 1.")
    asked: Share = Field(description="The schedule's share.")
    sparsity: Share = Field(description="Share of zeros, or of removed parameters, after the step.")
    validation_accuracy: Share = Field(description="After the step and its training.")


class LayerResult(Contract):
    """One layer before and after."""

    name: str = Field(description="The layer.")
    weights: int = Field(ge=0, description="Weights it had.")
    weights_after: int = Field(ge=0, description="Weights it has.")
    zeros: int = Field(ge=0, description="Zeros among those it has.")
    sparsity: Share = Field(description="Share of its weights that are gone or zero.")
    channels_before: int = Field(ge=1, description="Outputs it had.")
    channels_after: int = Field(ge=1, description="Outputs it has.")
    macs: int = Field(ge=0, description="MACs it had.")
    macs_after: int = Field(ge=0, description="MACs it has.")


class PairedLatency(PairedSpeedup):
    """Original and pruned, timed side by side in interleaved turns."""

    original_p50_ms: float = Field(gt=0, description="Median before.")
    pruned_p50_ms: float = Field(gt=0, description="Median after.")


class SweepPoint(Contract):
    """One amount of a sweep."""

    amount: Share = Field(description="As asked for.")
    validation_accuracy: Share = Field(description="After fine-tuning.")
    test_accuracy: Share = Field(description="After fine-tuning; it selects nothing.")
    parameters: int = Field(ge=0, description="Parameters that are not zero.")
    macs: int = Field(ge=0, description="MACs of one input.")
    size_bytes: int = Field(ge=0, description="Of the smallest weights file.")
    p50_ms: float | None = Field(ge=0, description="Median latency at the first batch size.")
    is_kept: bool = Field(description="Whether this is the model that the job made.")


class SensitivityCurve(Contract):
    """What validation accuracy is left as one group of layers alone is cut."""

    layer: str = Field(description="The group's first layer.")
    ratios: tuple[Share, ...] = Field(description="Shares of its channels removed.")
    accuracies: tuple[Share, ...] = Field(description="Validation accuracy, without repair.")


class TargetResult(Contract):
    """A promise and what was reached."""

    name: str = Field(description="As in `targets`.")
    asked: float = Field(description="The promise.")
    reached: float = Field(description="Measured on the saved model.")


class PruneResult(Contract):
    """What a `prune` job made."""

    kind: Literal["prune"] = Field("prune", description="The kind of job.")
    model: ModelId = Field(description="The model it made.")
    facts: ModelFacts = Field(description="Its size.")
    original: ModelFacts = Field(description="The size of the model that was pruned.")
    amount: Share = Field(description="The share removed in the end, in the method's own terms.")
    sparse_bytes: int | None = Field(
        description="Bytes of model.sparse.safetensors, without the zeros; null if there is none."
    )
    compression_ratio: float = Field(gt=0, description="Original parameters ÷ these.")
    nonzero_compression_ratio: float = Field(
        gt=0, description="Original non-zero parameters ÷ these."
    )
    macs_ratio: float | None = Field(gt=0, description="Original MACs ÷ these.")
    size_ratio: float = Field(
        gt=0, description="Bytes of the smallest weights file ÷ those of the original's."
    )
    accuracy_retention: float = Field(ge=0, description="Test accuracy ÷ the original's.")
    accuracy_change_points: float = Field(description="Minus the original's, percentage points.")
    class_change_points: tuple[float | None, ...] = Field(description="The same for each class.")
    stages: tuple[StageResult, ...] = Field(description="Before, cut, recalibrated, fine-tuned.")
    steps: tuple[StepResult, ...] = Field(description="Of the schedule.")
    layers: tuple[LayerResult, ...] = Field(description="In the order of the network.")
    latencies: tuple[PairedLatency, ...] = Field(description="One per batch size.")
    sensitivity: tuple[SensitivityCurve, ...] = Field((), description="Of adaptive allocation.")
    sweep: tuple[SweepPoint, ...] = Field((), description="Where several amounts were compared.")
    targets: tuple[TargetResult, ...] = Field((), description="Where targets were set.")
    history: tuple[EpochRecord, ...] = Field(description="Of the fine-tuning.")
    best_epoch: int | None = Field(description="The epoch that was kept; null without any.")
    training_s: float = Field(ge=0, description="Seconds in training, of all steps.")
    validation: Evaluation = Field(description="Of the saved model on the validation split.")
    test: Evaluation = Field(description="Of the saved model on the test split.")
    original_test: Evaluation = Field(description="Of the original on the test split.")
    data: DataFacts = Field(description="The data.")
    environment: Environment = Field(description="Where it ran.")
    seed: int = Field(description="The seed used.")
    warnings: tuple[str, ...] = Field((), description="What a careful reader should know.")
    comparison: BeforeAfter | None = Field(
        None, description="The original against the pruned model. Null in results of older jobs."
    )
