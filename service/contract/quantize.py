"""`quantize`: a model with fewer bits, as a graph for ONNX Runtime."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import Contract, DatasetRef, JobSpecBase, ModelRef
from service.contract.benchmark import LatencyBatchSizes
from service.contract.prune import FinetuneSpec, IgnoredLayers


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
            raise _impossible("calibration is of the tool onnxruntime")
        return self


class DynamicInt8Method(Contract):
    """Matrix products in int8, ranges found at each run: for transformers and perceptrons."""

    name: Literal["dynamic_int8"] = Field("dynamic_int8", description="The method.")


class WeightOnlyInt8Method(Contract):
    """Weights kept in int8, one scale for each output; arithmetic in float32."""

    name: Literal["weight_only_int8"] = Field("weight_only_int8", description="The method.")


class Fp16Method(Contract):
    """Weights kept in 16-bit floats."""

    name: Literal["fp16"] = Field("fp16", description="The method.")
    arithmetic: Literal["float32", "half"] = Field(
        "float32",
        description="`half` turns the whole graph into 16-bit floats, which GPUs compute in. On "
        "processors ONNX Runtime turns most of it back at each run; the result says so.",
    )


class Bf16Method(Contract):
    """Weights kept in bfloat16, which has float32's range."""

    name: Literal["bf16"] = Field("bf16", description="The method.")
    arithmetic: Literal["float32"] = Field(
        "float32", description="ONNX Runtime has no bfloat16 convolution to ask for."
    )


class StaticFp8Method(Contract):
    """Weights and activations in 8-bit floats (e4m3), scaled by what examples gave. For GPUs that
    have them: compute capability 8.9 and up; elsewhere the job fails with `unsupported_device`."""

    name: Literal["static_fp8"] = Field("static_fp8", description="The method.")
    calibration_samples: int = Field(
        512, ge=1, le=65_536, description="Examples of the training split to find scales on."
    )


QuantizeMethod = Annotated[
    StaticInt8Method
    | DynamicInt8Method
    | WeightOnlyInt8Method
    | Fp16Method
    | Bf16Method
    | StaticFp8Method,
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


class AwareFinetuneSpec(FinetuneSpec):
    """Training with int8's rounding in the forward pass, by default with the original as teacher.

    Runs in float32. The ranges of activations and the statistics of batch norm follow the training
    at first and stand still at the end.
    """

    epochs: int = Field(5, ge=1, le=10_000, description="Passes over the training split.")
    learning_rate: float = Field(1e-4, gt=0, le=10, description="Initial learning rate.")
    freeze_after: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the epochs after which ranges and statistics stand still. The first "
        "epoch always moves them.",
    )

    @field_validator("activation_checkpointing")
    @classmethod
    def _keeps_activations(cls, asked: bool) -> bool:
        if asked:
            raise _impossible("activation_checkpointing is not for programs that torch exported")
        return asked


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
    finetune: AwareFinetuneSpec | None = Field(
        None,
        description="`static_int8` with the tool torchao: train with the rounding of int8, so that "
        "the weights learn to stand it. Where no tool is named, torchao is taken.",
    )
    ignored_layers: IgnoredLayers = ()
    targets: QuantizeTargets | None = Field(None, description="What has to be kept.")
    sensitivity: bool = Field(
        False,
        description="`static_int8`: report for each layer what int8 in it alone does. Done anyway "
        "where a target is not kept at once.",
    )
    latency_batch_sizes: LatencyBatchSizes = (1, 32)

    @model_validator(mode="before")
    @classmethod
    def _finetunes_by_torchao(cls, value: Any) -> Any:
        """Choose the tool where the choice is open."""
        if not isinstance(value, Mapping) or value.get("finetune") is None:
            return value
        method = value.get("method", {"name": "static_int8"})
        if isinstance(method, StaticInt8Method):
            method = method.model_dump(exclude_unset=True) | {"name": method.name}
        if isinstance(method, Mapping) and method.get("name") == "static_int8":
            return {**value, "method": {"tool": "torchao", **method}}
        return value

    @field_validator("finetune")
    @classmethod
    def _has_the_tool(
        cls, finetune: AwareFinetuneSpec | None, info: ValidationInfo
    ) -> AwareFinetuneSpec | None:
        method = info.data.get("method")
        if finetune is not None and method is not None and not _is_torchao(method):
            raise _impossible("finetune is of static_int8 with the tool torchao")
        return finetune

    @property
    def needs_weights(self) -> bool:
        """Whether a runtime graph cannot be its model."""
        return _is_torchao(self.method)


def _is_torchao(method: Contract) -> bool:
    return isinstance(method, StaticInt8Method) and method.tool == "torchao"


def _impossible(message: str) -> PydanticCustomError:
    return PydanticCustomError("impossible_combination", "{message}", {"message": message})
