"""What a `quantize` job made, and what that was worth."""

from typing import Literal

from pydantic import Field

from service.contract.base import Contract, ModelId, Share
from service.contract.before_after import BeforeAfter
from service.contract.benchmark import PairedSpeedup
from service.contract.prune_result import TargetResult
from service.contract.training import DataFacts, Environment, EpochRecord, Evaluation, ModelFacts


class QuantizedLayer(Contract):
    """One layer with weights."""

    name: str = Field(description="As in the model.")
    operator: str = Field(description="Its operator in the graph.", examples=["Conv"])
    weights: int = Field(ge=0, description="How many it has.")
    is_quantized: bool = Field(description="False: it stayed float.")
    sensitivity: float | None = Field(
        None,
        ge=0,
        description="What int8 in it alone does to the validation logits: mean square of the "
        "difference ÷ mean square of the logits. Null where it was not measured.",
    )


class AwareTraining(Contract):
    """Fine-tuning with int8's rounding, between the graph before it and the one after."""

    before: Evaluation = Field(description="Of the graph before it, on the validation split.")
    after: Evaluation = Field(description="Of the graph after it, there, with the same layers.")
    test_before: Evaluation = Field(description="Of the graph before it, on the test split.")
    is_kept: bool = Field(
        description="False: it made validation accuracy worse, and the graph from before is kept."
    )
    history: tuple[EpochRecord, ...] = Field(description="One record per epoch, rounded.")
    best_epoch: int = Field(ge=1, description="The epoch whose weights were taken.")
    training_s: float = Field(ge=0, description="Seconds in training, over all attempts.")


class QuantizedLatency(PairedSpeedup):
    """The float graph and the quantised one, in turns, in the same runtime."""

    float_p50_ms: float = Field(gt=0, description="Median of the float32 graph.")
    quantized_p50_ms: float = Field(gt=0, description="Median of the quantised graph.")


class QuantizeResult(Contract):
    """What a `quantize` job made."""

    kind: Literal["quantize"] = Field("quantize", description="The kind of job.")
    model: ModelId = Field(description="The model it made, of form `graph`.")
    method: str = Field(description="The method.")
    runtime: str = Field(description="What ran both graphs, with its version.")
    facts: ModelFacts = Field(
        description="Its size. Parameters are all stored numbers, scales among them."
    )
    original: ModelFacts = Field(description="The size of the model that was quantised.")
    float_bytes: int = Field(ge=0, description="Bytes of the same graph in float32.")
    size_ratio: float = Field(
        gt=0, description="Bytes of model.onnx ÷ those of the original's smallest file."
    )
    accuracy_retention: float = Field(ge=0, description="Test accuracy ÷ the original's.")
    accuracy_change_points: float = Field(description="Minus the original's, percentage points.")
    class_change_points: tuple[float | None, ...] = Field(description="The same for each class.")
    agreement: Share = Field(description="Test examples with the original's top prediction.")
    layers: tuple[QuantizedLayer, ...] = Field(description="In the order of the graph.")
    calibration_samples: int = Field(ge=0, description="Training examples ranges came from.")
    latencies: tuple[QuantizedLatency, ...] = Field(description="One per batch size.")
    finetuning: AwareTraining | None = Field(None, description="Where it was asked for.")
    targets: tuple[TargetResult, ...] = Field((), description="Where targets were set.")
    validation: Evaluation = Field(description="Of the saved graph on the validation split.")
    original_validation: Evaluation = Field(description="Of the original there.")
    test: Evaluation = Field(description="Of the saved graph on the test split.")
    original_test: Evaluation = Field(description="Of the original on the test split.")
    data: DataFacts = Field(description="The data.")
    environment: Environment = Field(description="Where it ran.")
    seed: int = Field(description="The seed that chose the calibration examples.")
    warnings: tuple[str, ...] = Field((), description="What a careful reader should know.")
    comparison: BeforeAfter | None = Field(
        None, description="The original against the graph. Null in results of older jobs."
    )
