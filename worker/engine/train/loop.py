"""The one loop that trains, from labels or from a teacher. Shapes: B batch, K classes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Unpack

import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from worker.engine.data.batches import Batch, Batches, Normalizer, resident
from worker.engine.data.split import Data
from worker.engine.data.views import seen_in_epoch
from worker.engine.device import autocast, grad_scaler, resolve_device, resolve_precision
from worker.engine.errors import (
    Diverged,
    IncompatibleDataset,
    NotTrainable,
    Stopped,
    memory_errors,
)
from worker.engine.observer import EpochRecord
from worker.engine.seeds import seed_everything
from worker.engine.train.evaluate import evaluate
from worker.engine.train.meter import EpochMeter
from worker.engine.train.objective import CrossEntropy, Objective
from worker.engine.train.progress import Progress, best_of, epochs_without_gain
from worker.engine.train.resume import Checkpointer
from worker.engine.train.settings import FitOptions, Settings, learning_rate_at, make_optimizer

_REPORT_EVERY_S: Final = 0.25


@dataclass(frozen=True)
class FitOutcome:
    """What a run did; `training_s` counts all attempts, `images_per_s` steps alone."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    training_s: float
    images_per_s: float
    steps: int


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

    Raises `Stopped` after the checkpoint that the observer asked for (if there is a
    `checkpoint_dir`), `Diverged`, `OutOfMemory`, `DiskFull`, `InvalidCheckpoint`,
    `IncompatibleDataset` or `NotTrainable`.
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
        self.mean, self.std = mean, std
        self.device = resolve_device(settings.device)
        self.precision = resolve_precision(settings.precision, self.device)
        self.normalise = Normalizer.of(mean, std, data.train.x, self.device)
        self.model = _prepared(model, data, self.normalise, self.device)
        if not any(p.requires_grad for p in model.parameters()):
            raise NotTrainable("the model has no weights to train")
        self.learned = _learned(objective, self.device)
        both = (*model.parameters(), *self.learned.parameters())
        self.parameters = [p for p in both if p.requires_grad]
        seed_everything(settings.seed, deterministic=settings.deterministic)
        self.train_split = resident(data.train, self.device)
        self.validation_split = resident(data.validation, self.device)
        self.steps_per_epoch = len(Batches(self.train_split, settings.batch_size, self.device))
        self.optimizer = make_optimizer(self.parameters, settings)
        self.scaler = grad_scaler(self.device, self.precision)
        self.progress = Progress(EpochMeter(self.device))
        self.checkpoints = Checkpointer(
            model,
            self.learned,
            self.optimizer,
            self.scaler,
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
        while not self._finished():
            self._epoch()
        progress = self.progress
        self.model.load_state_dict(progress.best_weights)
        self.model.to(memory_format=torch.contiguous_format).eval()
        return FitOutcome(
            history=tuple(progress.history),
            best_epoch=best_of(progress.history).epoch,
            training_s=progress.elapsed(),
            images_per_s=progress.images / max(progress.step_seconds, 1e-9),
            steps=progress.step,
        )

    def _finished(self) -> bool:
        patience, history = self.settings.early_stopping_patience, self.progress.history
        if patience is not None and epochs_without_gain(history) >= patience:
            return True
        return len(history) >= self.settings.epochs

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
        self.model.train()
        self.objective.start_epoch(epoch, settings.epochs)
        started = time.perf_counter()
        for batch in batches:
            rate = self._rate(epoch, progress.offset + 1)
            self._step(batch, rate)
            progress.step += 1
            progress.offset += 1
            progress.meter.seconds += time.perf_counter() - started
            self._after_step(epoch, rate)
            started = time.perf_counter()
        progress.meter.check(epoch + 1)
        # Reading waited for the device: what it still had to do belongs to the steps.
        progress.meter.seconds += time.perf_counter() - started
        self._close_epoch(epoch)

    def _step(self, batch: Batch, rate: float) -> None:
        meter, number = self.progress.meter, self.progress.step + 1
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        for micro in batch.chunks(self.settings.gradient_accumulation_steps):
            with autocast(self.device, self.precision):
                inputs = self.normalise(micro.x)
                logits_BK = self.model(inputs)
                loss = self.objective(logits_BK, micro, inputs)
            share = loss.total * (len(micro) / len(batch))
            torch.autograd.backward(self.scaler.scale(share))
            meter.add(loss, logits_BK, micro.y)
            meter.watch(loss.total, number)
        self.scaler.unscale_(self.optimizer)
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.settings.max_grad_norm is not None:
            clip_grads_with_norm_(self.parameters, self.settings.max_grad_norm, norm)
        if not self.scaler.is_enabled():
            # An active scaler expects overflow: it skips the step and lowers its factor.
            meter.watch(norm, number)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _after_step(self, epoch: int, rate: float) -> None:
        progress = self.progress
        now = time.monotonic()
        if now - self.reported_at >= _REPORT_EVERY_S or progress.offset == self.steps_per_epoch:
            self.reported_at = now
            self._report(epoch, rate)
        stopping = self.observer.should_stop()
        if self.settings.checkpoint_dir is not None and (stopping or self.checkpoints.due()):
            progress.meter.check(epoch + 1)
            self.observer.on_checkpoint(self.checkpoints.write(), progress.step)
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
        validation = evaluate(
            self.model,
            self.validation_split,
            self.mean,
            self.std,
            batch_size=max(self.settings.batch_size, 128),
            device=self.device,
            precision=self.precision,
        )
        # NaN is not below infinity either.
        if not validation.loss < float("inf"):
            raise Diverged(f"validation loss is not finite after epoch {epoch + 1}")
        reading = progress.meter.read()
        record = EpochRecord(
            epoch=epoch + 1,
            losses=reading.losses,
            train_accuracy=reading.accuracy,
            validation_accuracy=validation.accuracy,
            validation_loss=validation.loss,
            learning_rate=self._rate(epoch, self.steps_per_epoch),
            images_per_s=progress.meter.examples / max(progress.meter.seconds, 1e-9),
        )
        progress.close_epoch(record, self.model, EpochMeter(self.device))
        self.observer.on_epoch(record)

    def _rate(self, epoch: int, steps_done: int) -> float:
        return learning_rate_at(self.settings, epoch, steps_done / self.steps_per_epoch)


def _prepared(
    model: nn.Module, data: Data, normalise: Normalizer, device: torch.device
) -> nn.Module:
    """The model on the device, channels-last for images, seen to fit the data."""
    model.to(device)
    if data.train.x.ndim == 4:
        model.to(memory_format=torch.channels_last)
    outputs = count_outputs(model, normalise(data.train.x[:1].to(device)))
    if outputs < data.classes:
        raise IncompatibleDataset(f"the data has {data.classes} classes, the model {outputs}")
    return model


def _learned(objective: Objective, device: torch.device) -> nn.Module:
    learned = objective.learned()
    return nn.Module() if learned is None else learned.to(device).train()


@torch.no_grad()
def count_outputs(model: nn.Module, inputs: torch.Tensor) -> int:
    """K of the model's logits [B, K]. Raises `IncompatibleDataset` if it cannot take `inputs`."""
    was_training = model.training
    try:
        return int(model.eval()(inputs).shape[1])
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except RuntimeError as error:
        raise IncompatibleDataset(
            f"the model cannot take inputs of {list(inputs.shape[1:])}"
        ) from error
    finally:
        model.train(was_training)
