"""An observer that remembers what it was told, and asks to stop when it was told so."""

from collections.abc import Mapping
from pathlib import Path

from worker.engine.observer import EpochRecord


class Recorder:
    """`stop_at_question` counts the answers to `should_stop`, from 1."""

    def __init__(self, stop_at_question: int | None = None) -> None:
        self.phases: list[str] = []
        self.epochs: list[EpochRecord] = []
        self.checkpoints: list[Path] = []
        self.warnings: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self._questions = 0
        self._stop_at = stop_at_question

    def on_phase(self, phase: str) -> None:
        self.phases.append(phase)

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self.steps.append((step, total))

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def on_checkpoint(self, path: Path, step: int) -> None:
        self.checkpoints.append(path)

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)

    def should_stop(self) -> bool:
        self._questions += 1
        return self._stop_at is not None and self._questions >= self._stop_at
