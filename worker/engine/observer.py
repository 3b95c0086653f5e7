"""How long work reports, and how it is stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training; shares are in [0, 1], losses are means over the epoch's examples.

    `losses` holds "total" and each term before its weight. `learning_rate` is that of the last
    step. `images_per_s` counts time in training steps only.
    """

    epoch: int
    losses: Mapping[str, float]
    train_accuracy: float
    validation_accuracy: float
    validation_loss: float
    learning_rate: float
    images_per_s: float


class Observer(Protocol):
    """What the engine tells while it works. Called on the working thread; must not raise."""

    def on_phase(self, phase: str) -> None:
        """A new part of the work begins."""

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """A few times a second, not every step: `step` of `total` optimizer steps are done."""

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch is complete. Told again if a resumed run has to repeat it."""

    def on_checkpoint(self, path: Path, step: int) -> None:
        """A checkpoint is complete on disk. It stays until two newer ones exist."""

    def on_warning(self, message: str) -> None:
        """Something a careful reader should know."""

    def should_stop(self) -> bool:
        """Asked once a step: must be cheap. True: write a checkpoint and raise `Stopped`."""


class NullObserver:
    """Hears everything and says nothing."""

    def on_phase(self, phase: str) -> None: ...

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None: ...

    def on_epoch(self, record: EpochRecord) -> None: ...

    def on_checkpoint(self, path: Path, step: int) -> None: ...

    def on_warning(self, message: str) -> None: ...

    def should_stop(self) -> bool:
        return False
