"""A method for each kind of job."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from pydantic import BaseModel

from service.client.jobs import Job
from service.client.references import (
    DatasetLike,
    DistillOptions,
    JobOptions,
    ModelLike,
    PruneOptions,
    QuantizeOptions,
    RepeatOptions,
    StartingModelLike,
    dataset_reference,
    model_reference,
    starting_model,
    teachers,
)
from service.contract.benchmark import Runtime
from service.contract.export import ExportFormat
from service.contract.losses import AnyLoss
from service.contract.specs import JobSpec
from service.contract.training import TrainingSpec

TrainingLike = TrainingSpec | Mapping[str, Any]
LossLike = AnyLoss | Mapping[str, Any]
SpecLike = JobSpec | Mapping[str, Any]
Precision = Literal["fp32", "bf16", "fp16"]


class Kinds(ABC):
    """Specs from plain arguments. What is not given is for the service to fill in."""

    @abstractmethod
    def submit(
        self, spec: SpecLike, *, idempotency_key: str | None = None, wait: float | None = None
    ) -> Job:
        """Queue a job of any kind."""

    def train(
        self,
        model: StartingModelLike,
        dataset: DatasetLike,
        *,
        training: TrainingLike | None = None,
        **options: Unpack[RepeatOptions],
    ) -> Job:
        """Train a model from scratch, or one further."""
        return self.submit(
            _spec(
                "train",
                options,
                model=starting_model(model),
                dataset=dataset_reference(dataset),
                training=training,
            )
        )

    def distill(
        self,
        teacher: ModelLike | Sequence[ModelLike],
        student: StartingModelLike,
        dataset: DatasetLike,
        *,
        loss: LossLike | Sequence[LossLike] | None = None,
        training: TrainingLike | None = None,
        **options: Unpack[DistillOptions],
    ) -> Job:
        """Train a student from a teacher's outputs as well as from labels.

        `teacher` may be several, which then count alike. A job in the place of a model stands for
        the model it will make: chains are submitted at once and run in order.
        """
        return self.submit(
            _spec(
                "distill",
                options,
                **teachers(teacher),
                student=starting_model(student),
                dataset=dataset_reference(dataset),
                loss=loss,
                training=training,
            )
        )

    def prune(self, model: ModelLike, dataset: DatasetLike, **options: Unpack[PruneOptions]) -> Job:
        """Prune a model and repair it: half of its channels unless `method` says otherwise."""
        return self.submit(
            _spec(
                "prune",
                options,
                model=model_reference(model),
                dataset=dataset_reference(dataset),
            )
        )

    def export(
        self,
        model: ModelLike,
        formats: Sequence[ExportFormat] = ("onnx",),
        dataset: DatasetLike | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Write a model in other formats, each compared with it on the validation split of
        `dataset`, else on random inputs. `Model.download(path, format=…)` fetches one."""
        return self.submit(
            _spec(
                "export",
                options,
                model=model_reference(model),
                formats=list(formats),
                dataset=None if dataset is None else dataset_reference(dataset),
            )
        )

    def quantize(
        self,
        model: ModelLike,
        dataset: DatasetLike,
        method: str | Mapping[str, Any] = "static_int8",
        **options: Unpack[QuantizeOptions],
    ) -> Job:
        """Quantise a model to a graph for ONNX Runtime; `method` by name, or with its options."""
        return self.submit(
            _spec(
                "quantize",
                options,
                model=model_reference(model),
                dataset=dataset_reference(dataset),
                method={"name": method} if isinstance(method, str) else dict(method),
            )
        )

    def benchmark(
        self,
        models: Sequence[ModelLike],
        dataset: DatasetLike,
        *,
        batch_sizes: Sequence[int] | None = None,
        runtimes: Sequence[Runtime] | None = None,
        precisions: Sequence[Precision] | None = None,
        warmup_s: float | None = None,
        blocks: int | None = None,
        block_s: float | None = None,
        executions: int | None = None,
        threads: int | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Measure models side by side; the first one is the baseline. Times are in seconds."""
        return self.submit(
            _spec(
                "benchmark",
                options,
                models=[model_reference(model) for model in models],
                dataset=dataset_reference(dataset),
                batch_sizes=None if batch_sizes is None else list(batch_sizes),
                runtimes=None if runtimes is None else list(runtimes),
                precisions=None if precisions is None else list(precisions),
                warmup_s=warmup_s,
                blocks=blocks,
                block_s=block_s,
                executions=executions,
                threads=threads,
            )
        )


def _spec(kind: str, options: JobOptions, **fields: object) -> dict[str, Any]:
    """The spec with the fields that were given; the service fills in the rest. An option that is
    None was given."""
    given = {name: value for name, value in fields.items() if value is not None}
    return {"kind": kind, **{name: plain(value) for name, value in {**given, **options}.items()}}


def plain(value: object) -> object:
    """As JSON takes it: contracts without what they leave open."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
