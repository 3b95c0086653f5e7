"""What several kinds of job need: models in and out, data, and the engine's values as results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import cast

import torch

from service.contract.catalog import ArchitectureSpec
from service.contract.specs import JobResult, JobSpec, PlannedModel
from service.contract.training import (
    DataFacts,
    Environment,
    Evaluation,
    ModelFacts,
    ReliabilityBin,
    TrainingSpec,
)
from worker.device_lock import DeviceLock
from worker.engine import device as devices
from worker.engine.data.builtin import BUILTIN
from worker.engine.data.canonical import load_data
from worker.engine.data.split import Data, Split, channel_stats
from worker.engine.errors import IncompatibleDataset
from worker.engine.group import ALONE, Group
from worker.engine.measure.macs import macs
from worker.engine.measure.size import nonzero_parameters, parameters, size_bytes
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build, load_any, load_folder, weights_path
from worker.engine.observer import Observer
from worker.engine.seeds import seed_everything
from worker.engine.train import evaluate as scoring
from worker.engine.train.settings import FitOptions
from worker.order import CHECKPOINTS, JobOrder, ModelInput, ProducedFile, ProducedModel


@dataclass(frozen=True)
class Outcome:
    """What a handler gives back; `labels` name the classes in the report, `files` are kept beside
    it."""

    result: JobResult
    model: ProducedModel | None = None
    labels: Sequence[str] | None = None
    files: tuple[ProducedFile, ...] = ()


@dataclass(frozen=True)
class Job:
    """An order, where its files lie, who listens, the processes that train together, and the lock
    by which the machine is shared with other jobs; None where there are none."""

    order: JobOrder
    folder: Path
    observer: Observer
    group: Group = ALONE
    lock: DeviceLock | None = None

    @property
    def spec(self) -> JobSpec:
        return self.order.spec

    @property
    def device(self) -> torch.device:
        """The device that the spec means on this machine."""
        return devices.resolve_device(self.spec.device)

    @property
    def precision(self) -> devices.Precision:
        """Of what is run, not trained: `auto` is fp32 on CPUs, as other runtimes have it there."""
        name = self.spec.precision
        if name == "auto" and self.device.type == "cpu":
            name = "fp32"
        return devices.resolve_precision(name, self.device)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For whatever is timed: no other job of the machine computes meanwhile.

        Raises `Stopped` where the job is told to stop while it waits.
        """
        if self.lock is None:
            yield
            return
        with self.lock.alone(self.observer.should_stop):
            yield

    def data(self, reference: str) -> Data:
        """The dataset that the spec names."""
        self.observer.on_phase("loading")
        if reference in BUILTIN:
            return BUILTIN[reference]()
        return load_data(self.folder / self.order.datasets[reference])

    def input(self, reference: str) -> ModelInput:
        return self.order.models[reference]

    def load(self, reference: str) -> LoadedModel:
        """The model that the spec names, on the CPU, in evaluation mode; it may be a graph."""
        return load_any(self.folder / self.input(reference).folder)

    def start_from(
        self, model: ArchitectureSpec | str, data: Data, seed: int | None = None
    ) -> LoadedModel:
        """A fresh model for the data, seeded by `seed` or the spec's, or the one that it names."""
        if isinstance(model, str):
            loaded = load_folder(self.folder / self.input(model).folder)
            check_fits(loaded.config, data)
            return loaded
        mean, std = channel_stats(data.train)
        config = ModelConfig(
            architecture=model.architecture,
            options=model.options,
            classes=model.classes or data.classes,
            input_size=tuple(model.input_size or data.input_size),
            mean=mean,
            std=std,
            labels=data.labels if (model.classes or data.classes) == data.classes else None,
        )
        check_fits(config, data)
        seed_everything(self.spec.seed if seed is None else seed, deterministic=True)
        return LoadedModel(build(config), config)

    def fit_options(self, training: TrainingSpec, seed: int | None = None) -> FitOptions:
        """The engine's keyword arguments for a training spec, with `seed` or the spec's."""
        resume = self.order.checkpoint
        # The contract's fields are the engine's keywords; a test holds the two together.
        options = cast("FitOptions", training.model_dump())
        options["seed"] = self.spec.seed if seed is None else seed
        options["device"] = self.spec.device
        options["precision"] = self.spec.precision
        options["checkpoint_dir"] = self.folder / CHECKPOINTS
        options["resume_from"] = None if resume is None else self.folder / resume
        options["observer"] = self.observer
        options["group"] = self.group
        return options

    def evaluate(self, loaded: LoadedModel, split: Split) -> tuple[Evaluation, torch.Tensor]:
        """Scores and logits of a model as it was reloaded from its file, in float32."""
        config = loaded.config
        logits = scoring.predict(
            loaded.module, split, config.mean, config.std, device=self.device, precision="fp32"
        )
        return evaluation(scoring.score(logits, split.y.cpu())), logits

    def environment(self, precision: devices.Precision | None = None) -> Environment:
        """Where this process runs; `precision` is what a training ran in."""
        seen = devices.describe(self.device, precision or self.precision)
        return Environment.model_validate(vars(seen))


def check_fits(config: ModelConfig, data: Data) -> None:
    """Raises IncompatibleDataset unless the model takes this data."""
    if config.input_size != data.input_size:
        raise IncompatibleDataset(
            f"the model takes inputs of {list(config.input_size)}, "
            f"the dataset has {list(data.input_size)}"
        )
    if config.classes < data.classes:
        raise IncompatibleDataset(
            f"the model has {config.classes} outputs, the dataset {data.classes} classes"
        )


def evaluation(seen: scoring.Evaluation) -> Evaluation:
    """The engine's scores in the contract's words."""
    return Evaluation(
        samples=seen.samples,
        correct=seen.correct,
        accuracy=seen.accuracy,
        loss=seen.loss,
        per_class_accuracy=seen.per_class_accuracy,
        calibration_error=seen.ece,
        reliability=tuple(ReliabilityBin(**vars(one)) for one in seen.bins),
    )


def model_facts(loaded: LoadedModel, folder: Path, model_id: str, name: str) -> ModelFacts:
    """A saved model's size, counted on what was reloaded."""
    return ModelFacts(
        model=model_id,
        name=name,
        architecture=loaded.config.architecture,
        classes=loaded.config.classes,
        input_size=loaded.config.input_size,
        parameters=parameters(loaded.module),
        nonzero_parameters=nonzero_parameters(loaded.module),
        macs=macs(loaded.module, loaded.config.input_size),
        size_bytes=size_bytes(folder),
        sha256=sha256_of(weights_path(folder)),
    )


def data_facts(reference: str, data: Data) -> DataFacts:
    """What was read."""
    return DataFacts(
        dataset=reference,
        digest=data.digest,
        train=len(data.train),
        validation=len(data.validation),
        test=len(data.test),
        classes=data.classes,
    )


def planned(role: str, loaded: LoadedModel) -> PlannedModel:
    """A model as a dry run shows it."""
    return PlannedModel(
        role=role,
        architecture=loaded.config.architecture,
        parameters=parameters(loaded.module),
        macs=macs(loaded.module, loaded.config.input_size),
    )


def sha256_of(path: Path) -> str:
    """Digest of a file, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
