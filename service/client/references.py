"""What may stand where a spec names a model or a dataset."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from service.client.datasets import Dataset
from service.client.jobs import Job
from service.client.models import Model
from service.contract.base import Device, Precision
from service.contract.catalog import ArchitectureSpec
from service.contract.distill import Preset, TeacherMode
from service.contract.ids import ULID_PATTERN
from service.contract.prune import (
    Allocation,
    FinetuneSpec,
    Method,
    Schedule,
    Sparsify,
    Targets,
)
from service.contract.quantize import AwareFinetuneSpec, QuantizeTargets

ModelLike = str | Job | Model
"""A model: its id, the id of the job that makes it, or either one's handle."""
StartingModelLike = ModelLike | ArchitectureSpec | Mapping[str, Any]
"""A model, or a fresh architecture by name (`"cnn_student"`) or with options."""
DatasetLike = str | Dataset

_REFERENCE: Final = re.compile(rf"(mdl|job)_{ULID_PATTERN}")


class JobOptions(TypedDict, total=False):
    """What every kind of job takes besides its own fields; see `JobSpecBase` for what they mean."""

    name: str | None
    labels: Mapping[str, str]
    priority: int
    device: Device
    precision: Precision
    seed: int
    timeout_s: float | None
    max_attempts: int
    dry_run: bool


class RepeatOptions(JobOptions, total=False):
    """What a job that trains takes besides; see `TrainSpec`."""

    seeds: Sequence[int]


class DistillOptions(RepeatOptions, total=False):
    """What a distillation takes besides; see `DistillSpec`."""

    teacher_mode: TeacherMode
    preset: Preset
    views: int
    rounds: int
    control: bool
    latency_batch_sizes: Sequence[int]


class PruneOptions(JobOptions, total=False):
    """What a pruning takes besides; see `PruneSpec`. Its parts are contract values or mappings;
    `finetune` None: no training."""

    method: Method | Mapping[str, Any]
    allocation: Allocation
    schedule: Schedule | Mapping[str, Any]
    targets: Targets | Mapping[str, Any]
    sparsify: Sparsify | Mapping[str, Any] | None
    recalibrate: bool
    finetune: FinetuneSpec | Mapping[str, Any] | None
    latency_batch_sizes: Sequence[int]


class QuantizeOptions(JobOptions, total=False):
    """What a quantisation takes besides; see `QuantizeSpec`."""

    finetune: AwareFinetuneSpec | Mapping[str, Any] | None
    ignored_layers: Sequence[str]
    targets: QuantizeTargets | Mapping[str, Any]
    sensitivity: bool
    latency_batch_sizes: Sequence[int]


def model_reference(model: ModelLike) -> str:
    """The id that a spec names a model by."""
    return model if isinstance(model, str) else model.id


def teachers(teacher: ModelLike | Sequence[ModelLike]) -> dict[str, object]:
    """The fields of a spec that name one teacher, or several that count alike."""
    if isinstance(teacher, str | Job | Model):
        return {"teacher": model_reference(teacher)}
    return {"teachers": [{"model": model_reference(one)} for one in teacher]}


def starting_model(model: StartingModelLike) -> object:
    """A reference, or a fresh architecture, as a spec has it."""
    match model:
        case str():
            return model if _REFERENCE.fullmatch(model) else {"architecture": model}
        case Job() | Model():
            return model.id
        case ArchitectureSpec():
            return model.model_dump(mode="json", exclude_unset=True)
        case _:
            return dict(model)


def dataset_reference(dataset: DatasetLike) -> str:
    """The id or built-in name that a spec names a dataset by."""
    return dataset if isinstance(dataset, str) else dataset.id
