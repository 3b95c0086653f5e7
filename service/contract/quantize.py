"""`quantize`: a model with fewer bits, as a graph for ONNX Runtime."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import Contract, DatasetRef, JobSpecBase, ModelRef
from service.contract.benchmark import LatencyBatchSizes
from service.contract.prune import IgnoredLayers


class StaticInt8Method(Contract):
    """Weights and activations in int8; the ranges of activations are measured on examples."""

    name: Literal["static_int8"] = Field("static_int8", description="The method.")
    tool: Literal["onnxruntime", "nncf", "torchao"] = Field(
        "onnxruntime",
        description="What measures ranges and inserts them: ONNX Runtime's tool; OpenVINO's, "
        "which also corrects biases and has a calibration of its own; or torchao's, on the model "
        "in PyTorch, which `finetune` needs.",
    )
    calibration: Literal["minmax", "percentile", "entropy"] = Field(
        "minmax",
        description="The range that an activation gets: all that was seen, all but a hundredth "
        "of a percent, or the one that keeps most information.",
    )
    calibration_samples: int = Field(
        512, ge=1, le=65_536, description="Examples of the training split to measure ranges on."
    )

    @model_validator(mode="after")
    def _calibrates_by_one_rule(self) -> Self:
        if self.tool != "onnxruntime" and self.calibration != "minmax":
            raise PydanticCustomError(
                "impossible_combination", "calibration is of the tool onnxruntime"
            )
        return self


class DynamicInt8Method(Contract):
    """Matrix products in int8, ranges found at each run: for transformers and perceptrons."""

    name: Literal["dynamic_int8"] = Field("dynamic_int8", description="The method.")


class WeightOnlyInt8Method(Contract):
    """Weights kept in int8, one scale for each output; arithmetic in float32."""

    name: Literal["weight_only_int8"] = Field("weight_only_int8", description="The method.")


class Fp16Method(Contract):
    """Weights kept in 16-bit floats; arithmetic in float32."""

    name: Literal["fp16"] = Field("fp16", description="The method.")


class Bf16Method(Contract):
    """Weights kept in bfloat16, which has float32's range; arithmetic in float32."""

    name: Literal["bf16"] = Field("bf16", description="The method.")


QuantizeMethod = Annotated[
    StaticInt8Method | DynamicInt8Method | WeightOnlyInt8Method | Fp16Method | Bf16Method,
    Field(discriminator="name", description="What gets fewer bits, and how."),
]


class QuantizeTargets(Contract):
    """What has to be kept."""

    max_accuracy_drop_points: float = Field(
        ge=0,
        le=100,
        description="At most so many points of validation accuracy are lost. `static_int8` keeps "
        "the layers that lose most in float until that holds.",
    )


class QuantizeSpec(JobSpecBase):
    """Quantise a trained model."""

    model_config = ConfigDict(
        title="quantize",
        json_schema_extra={
            "examples": [
                {
                    "kind": "quantize",
                    "model": "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                    "dataset": "digits",
                    "method": {"name": "static_int8"},
                }
            ]
        },
    )

    kind: Literal["quantize"] = Field("quantize", description="The kind of job.")
    model: ModelRef = Field(description="The model to quantise; it stays as it is.")
    dataset: DatasetRef
    method: QuantizeMethod = Field(default_factory=StaticInt8Method)
    ignored_layers: IgnoredLayers = ()
    targets: QuantizeTargets | None = Field(None, description="What has to be kept.")
    sensitivity: bool = Field(
        False,
        description="`static_int8`: report for each layer what int8 in it alone does. Done anyway "
        "where a target is not kept at once.",
    )
    latency_batch_sizes: LatencyBatchSizes = (1, 32)

    @property
    def needs_weights(self) -> bool:
        """Whether a runtime graph cannot be its model."""
        return isinstance(self.method, StaticInt8Method) and self.method.tool == "torchao"
