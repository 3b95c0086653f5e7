"""The one loop that trains, from labels or from a teacher. Shapes: B batch, K classes."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, Unpack, get_args

import torch
from torch import nn

from worker.engine.data.batches import Batches, Normalizer, resident
from worker.engine.data.split import Data
from worker.engine.data.views import seen_in_epoch
from worker.engine.device import Precision, resolve_device
from worker.engine.errors import Diverged, Stopped, memory_errors
from worker.engine.observer import EpochRecord
from worker.engine.seeds import seed_everything
from worker.engine.train.average import WeightAverage
from worker.engine.train.evaluate import Evaluation, evaluate
from worker.engine.train.frugal import frugal
from worker.engine.train.meter import EpochMeter
from worker.engine.train.objective import CrossEntropy, Objective
from worker.engine.train.precision import agreed_precision
from worker.engine.train.prepare import learned_of, prepared
from worker.engine.train.progress import Progress, best_of, epochs_without_gain
from worker.engine.train.resume import Checkpointer
from worker.engine.train.schedule import learning_rate_at
from worker.engine.train.settings import FitOptions, Settings
from worker.engine.train.stages import checkpointed
from worker.engine.train.step import Stepper

_REPORT_EVERY_S: Final = 0.25
_SECOND_CHANCE: Final = 0.1  # of the learning rate, after a run that diverged


@dataclass(frozen=True)
class FitOutcome:
    """What a run did; `training_s` counts all attempts, `images_per_s` steps alone.

    `precision` and `micro_batches` (of an optimizer step) are those of the end, `warnings` what
    was other than asked for.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    training_s: float
    images_per_s: float
    steps: int
    precision: Precision
    micro_batches: int
    warnings: tuple[str, ...]


def fit(
    model: nn.Module,
    data: Data,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    objective: Objective | None = None,
    **options: Unpack[FitOptions],
) -> FitOutcome:
    """Train `model` in place; it ends with the weights of the best validation epoch.

    Best is the highest accuracy, then the lowest loss, then the earliest. `mean` and `std`
    normalise the model's inputs. Without an `objective` it is cross-entropy with
    `label_smoothing`; `Settings` explains the other options. The model ends on the run's device,
    in evaluation mode. A run resumed from any of its checkpoints ends, on the same machine and
    device, with the same weights bit for bit.

    Where memory runs out in a step, the step is taken again in micro-batches of half the size.
    Where a loss or gradient is not finite, the epoch is trained again at a tenth of the rate, and
    the run goes on with that; the second time it is `Diverged`.

    With a `group` every process calls this with equal arguments but for the observer, and each
    takes its rows of every batch; the weights are those of one process up to rounding, BatchNorm
    included. The first process alone decides to stop, and writes checkpoints, from which any
    number of processes goes on. A loss that compares examples sees those of its process, and
    memory that runs out in a model with BatchNorm is `OutOfMemory` at once.

    Raises `RankLost` if another process died, `Stopped` after the checkpoint that the observer
    asked for (if there is a `checkpoint_dir`), `Diverged`, `OutOfMemory`, `DiskFull`,
    `InvalidCheckpoint`, `IncompatibleDataset` or `NotTrainable`.
    """
    settings = Settings(**options)
    if objective is None:
        objective = CrossEntropy(settings.label_smoothing)
    elif settings.label_smoothing:
        raise ValueError("label_smoothing belongs to the objective that was passed")
    with memory_errors():
        return _Trainer(model, data, objective, mean, std, settings).run()


class _Trainer:
    """A run in progress."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        objective: Objective,
        mean: Sequence[float],
        std: Sequence[float],
        settings: Settings,
    ) -> None:
        self.settings, self.objective, self.observer = settings, objective, settings.observer
        self.group = settings.group
        self.mean, self.std = mean, std
        self.device = resolve_device(settings.device)
        self.normalise = Normalizer.of(mean, std, data.train.x, self.device)
        self.model = prepared(model, data, self.normalise, self.device)
        learned = learned_of(objective, self.device)
        seed_everything(settings.seed, deterministic=settings.deterministic)
        self.train_split = resident(data.train, self.device)
        self.validation_split = resident(data.validation, self.device)
        self.steps_per_epoch = len(Batches(self.train_split, settings.batch_size, self.device))
        self.progress = Progress(EpochMeter(self.device, self.group))
        self.average = WeightAverage(model, settings.ema_decay)
        self.step = Stepper(
            model, learned, objective, self.normalise, settings, self._precision(), self._warn
        )
        self.checkpoints = Checkpointer(
            {"model": model, "learned": learned, "average": self.average, "stepper": self.step},
            self.progress,
            settings,
            data.digest,
            self.device,
        )
        self.reported_at = 0.0

    def run(self) -> FitOutcome:
        self.checkpoints.resume()
        self.progress.start_clock()
        self.observer.on_phase("training")
        with ExitStack() as changes:
            changes.enter_context(self.step.norms.in_place())
            changes.enter_context(checkpointed(self.model, self.settings.activation_checkpointing))
            if self.settings.activation_checkpointing:
                changes.enter_context(frugal())
            while not self._finished():
                self._epoch_or_again()
        progress = self.progress
        self.model.load_state_dict(progress.best_weights)
        self.model.to(memory_format=torch.contiguous_format).eval()
        return FitOutcome(
            history=tuple(progress.history),
            best_epoch=best_of(progress.history).epoch,
            training_s=progress.elapsed(),
            images_per_s=progress.images / max(progress.step_seconds, 1e-9),
            steps=progress.step,
            precision=self.step.precision,
            micro_batches=self.step.micro_batches,
            warnings=tuple(progress.warnings),
        )

    def _finished(self) -> bool:
        patience, history = self.settings.early_stopping_patience, self.progress.history
        if patience is not None and epochs_without_gain(history) >= patience:
            return True
        return len(history) >= self.settings.epochs

    def _epoch_or_again(self) -> None:
        good = self.checkpoints.snapshot()
        try:
            self._epoch()
        except Diverged as error:
            if self.progress.rate_factor < 1:
                raise
            reason = str(error)
        else:
            return
        elapsed = self.progress.elapsed()
        self.checkpoints.restore(good)
        self.progress.start_clock(elapsed)
        self.progress.rate_factor = _SECOND_CHANCE
        self._warn(f"{reason}: went back to step {self.progress.step}, at a tenth of the rate")

    def _epoch(self) -> None:
        progress, settings = self.progress, self.settings
        epoch = len(progress.history)
        split, augmentation = seen_in_epoch(
            self.train_split, settings.augmentation, settings.views, epoch
        )
        batches = Batches(
            split,
            settings.batch_size,
            self.device,
            seed=settings.seed,
            epoch=epoch,
            offset=progress.offset,
            shuffle=True,
            augmentation=augmentation,
            mixup_alpha=settings.mixup_alpha,
            cutmix_alpha=settings.cutmix_alpha,
        )
        settings.on_epoch_start(epoch, settings.epochs)
        self.model.train()
        self.objective.start_epoch(epoch, settings.epochs)
        started = time.perf_counter()
        for batch in batches:
            rate = self._rate(epoch, progress.offset + 1)
            self.step(batch, rate, progress.step + 1, progress.meter)
            self.average.update()
            progress.step += 1
            progress.offset += 1
            progress.meter.seconds += time.perf_counter() - started
            self._after_step(epoch, rate)
            started = time.perf_counter()
        progress.meter.check(epoch + 1)
        # Reading waited for the device: what it still had to do belongs to the steps.
        progress.meter.seconds += time.perf_counter() - started
        self._close_epoch(epoch)

    def _after_step(self, epoch: int, rate: float) -> None:
        progress = self.progress
        reporting, stopping, due = self.group.first(
            time.monotonic() - self.reported_at >= _REPORT_EVERY_S
            or progress.offset == self.steps_per_epoch,
            self.observer.should_stop(),
            self.checkpoints.due(),
        )
        if reporting:
            self.reported_at = time.monotonic()
            self._report(epoch, rate)
        if self.settings.checkpoint_dir is not None and (stopping or due):
            progress.meter.check(epoch + 1)
            path = self.checkpoints.write()
            if self.group.is_first:
                self.observer.on_checkpoint(path, progress.step)
        if stopping:
            raise Stopped(f"stopped after step {progress.step}")

    def _report(self, epoch: int, rate: float) -> None:
        meter = self.progress.meter
        meter.check(epoch + 1)
        reading = meter.read()
        metrics = {
            "loss": reading.losses["total"],
            "accuracy": reading.accuracy,
            "learning_rate": rate,
            "images_per_s": meter.examples / max(meter.seconds, 1e-9),
        }
        total = self.settings.epochs * self.steps_per_epoch
        self.observer.on_step(self.progress.step, total, metrics)

    def _close_epoch(self, epoch: int) -> None:
        progress = self.progress
        with self.average.in_place():
            validation = evaluate(
                self.model,
                self.validation_split,
                self.mean,
                self.std,
                batch_size=max(self.settings.batch_size // self.step.micro_batches, 128),
                device=self.device,
                precision=self.step.precision,
            )
            # Every process saw all of it; what one decides by is what all decide by.
            accuracy, loss = self.group.first(validation.accuracy, validation.loss)
            validation = replace(validation, accuracy=accuracy, loss=loss)
            # NaN is not below infinity either.
            if not validation.loss < float("inf"):
                raise Diverged(f"validation loss is not finite after epoch {epoch + 1}")
            record = self._record(epoch, validation)
            progress.close_epoch(record, self.model, EpochMeter(self.device, self.group))
        self.observer.on_epoch(record)

    def _record(self, epoch: int, validation: Evaluation) -> EpochRecord:
        meter = self.progress.meter
        reading = meter.read()
        return EpochRecord(
            epoch=epoch + 1,
            losses=reading.losses,
            train_accuracy=reading.accuracy,
            validation_accuracy=validation.accuracy,
            validation_loss=validation.loss,
            learning_rate=self._rate(epoch, self.steps_per_epoch),
            images_per_s=meter.examples / max(meter.seconds, 1e-9),
        )

    def _rate(self, epoch: int, steps_done: int) -> float:
        rate = learning_rate_at(self.settings, epoch, steps_done / self.steps_per_epoch)
        return rate * self.progress.rate_factor

    def _precision(self) -> Precision:
        first = next(iter(Batches(self.train_split, self.settings.batch_size, self.device)))
        precision, warning = agreed_precision(
            self.settings.precision, self.model, self.normalise(first.x), first.y
        )
        if warning is not None:
            self._warn(warning)
        names: tuple[Precision, ...] = get_args(Precision)
        (chosen,) = self.group.first(names.index(precision))
        return names[int(chosen)]

    def _warn(self, message: str) -> None:
        self.progress.warnings.append(message)
        self.observer.on_warning(message)
