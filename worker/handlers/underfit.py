"""Says early that a student underfits, which is when soft targets slow it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from service.contract.training import TrainingSpec
from worker.engine.observer import EpochRecord, Observer

_EARLIEST: Final = 3
_SHARE: Final = 1 / 4  # of the epochs, after which a student has shown how it learns
_GAP: Final = 0.15


@dataclass
class UnderfitWatch:
    """Compares how a student fits its training split with how the teacher does unseen data.

    Warns once a job; mixed images are too hard to fit to conclude anything.
    """

    teacher_accuracy: float
    training: TrainingSpec
    warnings: list[str] = field(default_factory=list)

    def over(self, observer: Observer) -> Observer:
        """An observer that tells `observer` everything, and warns."""
        return _Watching(self, observer)

    def judge(self, record: EpochRecord) -> str | None:
        """The warning that this epoch calls for, if any."""
        training = self.training
        due = max(_EARLIEST, round(_SHARE * training.epochs))
        mixed = training.mixup_alpha > 0 or training.cutmix_alpha > 0
        gap = self.teacher_accuracy - record.train_accuracy
        if self.warnings or mixed or record.epoch != due or gap < _GAP:
            return None
        self.warnings.append(
            f"After {record.epoch} of {training.epochs} epochs the student fits "
            f"{record.train_accuracy:.0%} of the training split, while the teacher gets "
            f"{self.teacher_accuracy:.0%} of unseen examples right: it underfits. Soft targets "
            "slow such a student. Train longer, let alpha move from 0.9 to 0.1, add what the "
            "teacher sees (`preset: recommended`), and let `control: true` measure whether the "
            "teacher helps."
        )
        return self.warnings[-1]


class _Watching:
    def __init__(self, watch: UnderfitWatch, observer: Observer) -> None:
        self._watch, self._observer = watch, observer

    def on_phase(self, phase: str) -> None:
        self._observer.on_phase(phase)

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self._observer.on_step(step, total, metrics)

    def on_epoch(self, record: EpochRecord) -> None:
        self._observer.on_epoch(record)
        if warning := self._watch.judge(record):
            self._observer.on_warning(warning)

    def on_checkpoint(self, path: Path, step: int) -> None:
        self._observer.on_checkpoint(path, step)

    def on_warning(self, message: str) -> None:
        self._observer.on_warning(message)

    def should_stop(self) -> bool:
        return self._observer.should_stop()
