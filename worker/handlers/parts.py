"""What jobs of several trainings share: each is a part of the job, to who watches and on disk."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.engine.checkpoint import load
from worker.engine.observer import EpochRecord, Observer
from worker.engine.train.loop import FitOutcome


@dataclass(frozen=True)
class PartObserver:
    """Tells of one training as of a part of a job.

    `done` optimizer steps came before it, `to_come` says how many do from here on, given those of
    this training. `write` makes a checkpoint of the job from the loop's state and step.
    """

    observer: Observer
    done: int
    to_come: Callable[[int], int]
    write: Callable[[Mapping[str, Any], int], Path]
    title: str | None = None

    def on_phase(self, phase: str) -> None:
        self.observer.on_phase(self.title if self.title and phase == "training" else phase)

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self.observer.on_step(self.done + step, self.done + self.to_come(total), metrics)

    def on_epoch(self, record: EpochRecord) -> None:
        self.observer.on_epoch(record)

    def on_checkpoint(self, path: Path, step: int) -> None:
        self.observer.on_checkpoint(self.write(load(path), step), self.done + step)

    def on_warning(self, message: str) -> None:
        self.observer.on_warning(message)

    def should_stop(self) -> bool:
        return self.observer.should_stop()


def plain_outcome(outcome: FitOutcome) -> dict[str, Any]:
    """What a checkpoint can hold."""
    return asdict(outcome)


def restored_outcome(plain: Mapping[str, Any]) -> FitOutcome:
    """The outcome that `plain_outcome` was given."""
    history = tuple(EpochRecord(**record) for record in plain["history"])
    return FitOutcome(**{**plain, "history": history})
