"""How far a run has come."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from worker.engine.observer import EpochRecord
from worker.engine.train.meter import EpochMeter


class Progress:
    """Counters, history and best weights of a run; `offset` counts the open epoch's batches.

    Learning rates are multiplied by `rate_factor`. `warnings` are for a careful reader.
    """

    def __init__(self, meter: EpochMeter) -> None:
        self.meter = meter
        self.step = 0
        self.offset = 0
        self.images = 0
        self.step_seconds = 0.0
        self.history: list[EpochRecord] = []
        self.best_weights: dict[str, Tensor] = {}
        self.rate_factor = 1.0
        self.warnings: list[str] = []
        self._seconds_before = 0.0
        self._started = time.perf_counter()

    def start_clock(self, seconds_before: float | None = None) -> None:
        """Work goes on now; `seconds_before` counts instead of what a state said."""
        self._started = time.perf_counter()
        if seconds_before is not None:
            self._seconds_before = seconds_before

    def elapsed(self) -> float:
        """Seconds at work, over all attempts."""
        return self._seconds_before + time.perf_counter() - self._started

    def close_epoch(self, record: EpochRecord, model: nn.Module, fresh: EpochMeter) -> None:
        """Append `record`, keep the weights if it is the best one, and open the next epoch."""
        self.history.append(record)
        if best_of(self.history) is record:
            self.best_weights = {n: t.detach().clone() for n, t in model.state_dict().items()}
        self.images += self.meter.examples
        self.step_seconds += self.meter.seconds
        self.meter, self.offset = fresh, 0

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors and plain values."""
        return {
            "step": self.step,
            "offset": self.offset,
            "images": self.images,
            "step_seconds": self.step_seconds,
            "elapsed": self.elapsed(),
            "rate_factor": self.rate_factor,
            "warnings": list(self.warnings),
            "history": [asdict(record) for record in self.history],
            "best_weights": self.best_weights,
            "meter": self.meter.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; best weights stay where they are until the run ends."""
        self.step, self.offset = state["step"], state["offset"]
        self.images, self.step_seconds = state["images"], state["step_seconds"]
        self._seconds_before = state["elapsed"]
        self.rate_factor, self.warnings = state["rate_factor"], list(state["warnings"])
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.best_weights = state["best_weights"]
        self.meter.restore(state["meter"])


def best_of(history: Sequence[EpochRecord]) -> EpochRecord:
    """Highest validation accuracy, then lowest loss, then earliest."""
    return max(history, key=lambda r: (r.validation_accuracy, -r.validation_loss, -r.epoch))


def epochs_without_gain(history: Sequence[EpochRecord]) -> int:
    """Epochs since the validation accuracy last rose; 0 for an empty history."""
    if not history:
        return 0
    accuracies = [record.validation_accuracy for record in history]
    return len(history) - 1 - accuracies.index(max(accuracies))
