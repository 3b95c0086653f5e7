"""`prune`: a model with fewer channels, or with zeros."""

from typing import Annotated, Literal, Self, assert_never

from annotated_types import Len
from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import Contract, DatasetRef, JobSpecBase, ModelRef
from service.contract.benchmark import BatchSize, LatencyBatchSizes
from service.contract.training import TrainingSpec

Importance = Literal[
    "magnitude", "magnitude_l1", "bn_scale", "lamp", "fpgm", "taylor", "hessian", "random"
]
Allocation = Literal["uniform", "global", "adaptive"]
_Ratio = Annotated[float, Field(ge=0, lt=1)]
_Sweep = Annotated[tuple[_Ratio, ...], Len(1, 12)]
Amount = Annotated[
    Annotated[_Ratio, Tag("one")] | Annotated[_Sweep, Tag("sweep")],
    Discriminator(lambda value: "sweep" if isinstance(value, list | tuple) else "one"),
]
"""A share to remove, or several to compare in one job."""
LayerPattern = Annotated[str, Field(min_length=1, max_length=256)]
IgnoredLayers = Annotated[
    tuple[LayerPattern, ...],
    Len(0, 256),
    Field(
        description="Layers to leave alone, by name or glob; a container stands for all in it.",
        examples=[["conv1", "layer1.*"]],
    ),
]


class StructuredMethod(Contract):
    """Remove channels, neurons and attention heads with all that depends on them."""

    name: Literal["structured"] = Field("structured", description="The method.")
    importance: Importance = Field("magnitude", description="What a channel is judged by.")
    pruning_ratio: Amount = Field(
        0.5, description="Share of the channels to remove; a list compares several."
    )
    layer_ratios: Annotated[dict[LayerPattern, _Ratio], Len(0, 256)] = Field(
        default_factory=dict,
        description="Ratios of single layers, by name or glob, in `uniform` allocation.",
        examples=[{"layer3.*": 0.7}],
    )
    max_pruning_ratio: float = Field(
        0.95, gt=0, le=1, description="No layer loses more than this share."
    )
    round_to: int = Field(
        1, ge=1, le=256, description="Keep widths a multiple of this: hardware likes 8 or 16."
    )
    ignored_layers: IgnoredLayers = ()


class UnstructuredMethod(Contract):
    """Set single weights to zero. Dense kernels run no faster; the sparse file is smaller."""

    name: Literal["unstructured"] = Field("unstructured", description="The method.")
    importance: Literal["magnitude", "random"] = Field("magnitude", description="|w|, or chance.")
    sparsity: Amount = Field(
        0.5, description="Share of the weights to set to zero; a list compares several."
    )
    ignored_layers: IgnoredLayers = ()


class NmMethod(Contract):
    """Of every `m` consecutive inputs keep the `n` largest weights."""

    name: Literal["n_m"] = Field("n_m", description="The method.")
    n: int = Field(2, ge=1, le=31, description="Weights kept of each group.")
    m: int = Field(4, ge=2, le=32, description="Weights in a group.")
    ignored_layers: IgnoredLayers = ()

    @model_validator(mode="after")
    def _keeps_less_than_all(self) -> Self:
        if self.n >= self.m:
            raise PydanticCustomError("impossible_combination", "n must be below m")
        return self


class StructuredMaskMethod(Contract):
    """Set whole filters to zero in place, by their L2 norm. Saves nothing by itself."""

    name: Literal["structured_mask"] = Field("structured_mask", description="The method.")
    pruning_ratio: Amount = Field(0.5, description="Share of each layer's filters.")
    ignored_layers: IgnoredLayers = ()


Method = Annotated[
    StructuredMethod | UnstructuredMethod | NmMethod | StructuredMaskMethod,
    Field(discriminator="name", description="What is removed, and by which measure."),
]


class Schedule(Contract):
    """How the amount grows, with training between steps."""

    name: Literal["one_shot", "linear", "cubic"] = Field(
        "one_shot", description="`cubic` is Zhu and Gupta's: much at first, little at the end."
    )
    initial_sparsity: float = Field(0.0, ge=0, lt=1, description="Where the schedule begins.")
    final_sparsity: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Where `linear` and `cubic` end; null for the method's amount.",
    )
    steps: int = Field(4, ge=1, le=100, description="Steps of `linear` and `cubic`.")
    epochs_per_step: int = Field(
        1, ge=1, le=1000, description="Epochs of training after each step but the last."
    )


class Sparsify(Contract):
    """Training before the cut that makes weak channels weaker."""

    name: Literal["group_norm", "growing_reg"] = Field(
        "group_norm", description="The penalty: fixed by rank, or growing with every update."
    )
    strength: float = Field(1e-4, gt=0, le=10, description="Weight of the L2 penalty.")
    epochs: int = Field(5, ge=1, le=1000, description="Passes over the training split.")


class Targets(Contract):
    """Promises in place of an amount: the cut is searched for."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    macs: float | None = Field(
        None, gt=0, lt=1, description="At most this share of the original's MACs remains."
    )
    parameters: float | None = Field(
        None, gt=0, lt=1, description="At most this share of the parameters remains, or is not 0."
    )
    size_bytes: int | None = Field(
        None,
        ge=1,
        description="At most so many bytes on disk (the sparse file, where there is one).",
    )
    latency_ms: float | None = Field(
        None, gt=0, description="At most this median latency at `batch_size`, on the worker."
    )
    min_speedup: float | None = Field(
        None, gt=1, description="At least so many times faster at `batch_size`, on the worker."
    )
    max_accuracy_drop_points: float | None = Field(
        None, ge=0, le=100, description="At most so many points of validation accuracy are lost."
    )
    batch_size: BatchSize = Field(1, description="Inputs per forward pass of the two above.")

    @model_validator(mode="after")
    def _promises_something(self) -> Self:
        if not self.named:
            raise PydanticCustomError("impossible_combination", "targets must name one at least")
        return self

    @property
    def named(self) -> dict[str, float]:
        """The promises that were made, by name. A kept spec has null for each of the others."""
        return self.model_dump(exclude={"batch_size"}, exclude_none=True)


class FinetuneSpec(TrainingSpec):
    """Training after the cut, by default with the original as teacher."""

    epochs: int = Field(10, ge=1, le=10_000, description="Passes over the training split.")
    teacher: Literal["original", "none"] = Field(
        "original", description="`original`: distil from the model as it was before the cut."
    )
    temperature: float = Field(4.0, gt=0, le=100, description="Of the distillation.")
    alpha: float = Field(0.3, ge=0, le=1, description="Weight of the labels' loss in it.")


class PruneSpec(JobSpecBase):
    """Prune a trained model and repair it."""

    model_config = ConfigDict(
        title="prune",
        json_schema_extra={
            "examples": [
                {
                    "kind": "prune",
                    "model": "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                    "dataset": "digits",
                    "method": {
                        "name": "structured",
                        "importance": "magnitude",
                        "pruning_ratio": 0.5,
                    },
                    "finetune": {"epochs": 10},
                }
            ]
        },
    )

    kind: Literal["prune"] = Field("prune", description="The kind of job.")
    model: ModelRef = Field(description="The model to prune; it stays as it is.")
    dataset: DatasetRef
    method: Method = Field(default_factory=StructuredMethod)
    allocation: Allocation = Field(
        "uniform",
        description="`uniform`: every layer the same share; `global`: one ranking over all layers; "
        "`adaptive`: by how much the loss of each layer's channels hurts, for the same MACs.",
    )
    schedule: Schedule = Field(default_factory=Schedule, description="One shot, or step by step.")
    targets: Targets | None = Field(None, description="Promises in place of an amount.")
    sparsify: Sparsify | None = Field(
        None, description="Structured: train with a penalty on weak channels before the cut."
    )
    recalibrate: bool = Field(
        True, description="Measure batch norm's statistics anew after the cut."
    )
    finetune: FinetuneSpec | None = Field(
        default_factory=FinetuneSpec, description="Training after the cut; null for none."
    )
    latency_batch_sizes: LatencyBatchSizes = (1, 32)

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        if self.schedule.name != "one_shot" and self.finetune is None:
            raise _impossible("a schedule of several steps needs finetune")
        if self.sparsify is not None and (
            self.finetune is None or self.method.name != "structured"
        ):
            raise _impossible(
                "sparsify is for structured pruning with finetune, whose options it takes"
            )
        if self.method.name != "structured" and self.allocation == "adaptive":
            raise _impossible("adaptive allocation is for structured pruning")
        if self.method.name in ("n_m", "structured_mask") and self.allocation != "uniform":
            raise _impossible(f"{self.method.name} is uniform")
        if self.method.name == "n_m" and (self.targets or self.schedule.name != "one_shot"):
            raise _impossible("n_m has one amount: no targets and no schedule")
        if self.targets is not None and (self.is_sweep or self.schedule.name != "one_shot"):
            raise _impossible("targets take the place of a sweep or schedule")
        if self.is_sweep and self.schedule.name != "one_shot":
            raise _impossible("a sweep is of one-shot cuts")
        if self.schedule.name == "one_shot" and self.schedule.final_sparsity is not None:
            raise _impossible("final_sparsity is the end of a linear or cubic schedule")
        if max(self.amounts) < self.schedule.initial_sparsity:
            raise _impossible("initial_sparsity must not exceed the amount")
        slower = {"latency_ms", "min_speedup", "macs"}
        named = self.targets.named if self.targets else {}
        if self.method.name != "structured" and slower.intersection(named):
            raise _impossible("zeros change neither MACs nor latency: targets need `structured`")
        return self

    @property
    def amounts(self) -> tuple[float, ...]:
        """The shares to remove; one, except in a sweep."""
        final = self.schedule.final_sparsity
        return self._methods_amounts if final is None else (final,)

    @property
    def _methods_amounts(self) -> tuple[float, ...]:
        match self.method:
            case UnstructuredMethod():
                amount = self.method.sparsity
            case StructuredMethod() | StructuredMaskMethod():
                amount = self.method.pruning_ratio
            case NmMethod():
                amount = 1 - self.method.n / self.method.m
            case _:
                assert_never(self.method)
        return amount if isinstance(amount, tuple) else (amount,)

    @property
    def is_sweep(self) -> bool:
        """Whether several amounts are compared."""
        return len(self._methods_amounts) > 1


def _impossible(message: str) -> PydanticCustomError:
    return PydanticCustomError("impossible_combination", "{message}", {"message": message})
