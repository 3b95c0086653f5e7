"""Runs of several processes: each takes the same run and leaves what came of it as a file."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worker.engine.data.split import Data, Split
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Term
from worker.engine.distill.teachers import Teacher
from worker.engine.errors import RankLost, Stopped
from worker.engine.group import ALONE, Group, joined
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build
from worker.engine.observer import NullObserver
from worker.engine.train.loop import FitOutcome, fit

MEAN, STD = (0.5,) * 3, (0.25,) * 3


@dataclass(frozen=True)
class Case:
    """A run; `stop_at` is the step after which the first process is asked to stop."""

    architecture: str = "cnn_student"
    terms: tuple[str, ...] = ()
    stop_at: int | None = None
    out_of_memory_at: tuple[int, int] | None = None  # rank and step
    dies_at: tuple[int, int] | None = None


class _Stopping(NullObserver):
    def __init__(self, at: int | None) -> None:
        self._at, self._asked = at, 0

    def should_stop(self) -> bool:
        self._asked += 1
        return self._asked == self._at


class _Fragile(nn.Module):
    """Fails once, in the process and at the training step that the case says."""

    def __init__(self, inner: nn.Module, case: Case, rank: int) -> None:
        super().__init__()
        self.inner, self._case, self._rank, self._calls = inner, case, rank, 0

    def forward(self, x: Tensor) -> Tensor:
        self._calls += self.training
        here = (self._rank, self._calls)
        if self.training and here == self._case.dies_at:
            os._exit(9)
        if self.training and here == self._case.out_of_memory_at:
            raise torch.OutOfMemoryError("no")
        logits: Tensor = self.inner(x)
        return logits


def images(count: int, seed: int) -> Split:
    """Images whose class is the brightest channel, uint8 [N, 3, 16, 16]."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    x = torch.randint(0, 156, (count, 3, 16, 16), generator=draw)
    x[torch.arange(count), y] += 100
    return Split(x.to(torch.uint8), y)


def network(architecture: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    config = ModelConfig(
        architecture=architecture, classes=3, input_size=(3, 16, 16), mean=MEAN, std=STD
    )
    return build(config)


def train(case: Case, group: Group = ALONE, **options: Any) -> tuple[nn.Module, FitOutcome]:
    data = Data.of(images(32, 1), images(9, 2), images(9, 3))
    model = _Fragile(network(case.architecture, 0), case, group.rank)
    # 32 examples in batches of 10 leave a last one of 2: one row for each of two processes.
    options = {"epochs": 2, "batch_size": 10, "augmentation": "flip_and_crop", **options}
    options = {"learning_rate": 0.05, **options}
    options |= {"optimizer": "sgd", "device": "cpu", "precision": "fp32"}
    options |= {"group": group, "observer": _Stopping(case.stop_at)}
    if not case.terms:
        return model, fit(model, data, mean=MEAN, std=STD, **options)
    terms = [Term(name) for name in case.terms]
    teacher = Teacher(network("cnn_student", 5), MEAN, STD)
    outcome = distill(
        model, [teacher], data, student_mean=MEAN, student_std=STD, losses=terms, **options
    )
    return model, outcome


def train_together(size: int, folder: Path, case: Case, **options: Any) -> list[dict[str, Any]]:
    """What each process left: "weights", "losses" and "micro_batches", or what ended it."""
    script = f"from tests.worker.engine.ranks import *\nmain({folder.as_posix()!r}, {size}, "
    script += f"{case!r}, {options!r})".replace("PosixPath", "Path")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env={**environment, "RANK": str(rank)})
        for rank in range(size)
    ]
    for process in processes:
        process.wait(timeout=120)
    return [_left(folder / f"rank-{rank}.pt") for rank in range(size)]


def _left(path: Path) -> dict[str, Any]:
    left: dict[str, Any] = torch.load(path, weights_only=True) if path.exists() else {}
    return left


def outcome_of(model: nn.Module, outcome: FitOutcome) -> dict[str, Any]:
    return {
        "weights": model.state_dict(),
        "losses": [dict(record.losses) for record in outcome.history],
        "accuracies": [record.train_accuracy for record in outcome.history],
        "micro_batches": outcome.micro_batches,
    }


def main(folder: str, size: int, case: Case, options: Mapping[str, Any]) -> None:
    rank = int(os.environ["RANK"])
    try:
        with joined(rank, size, Path(folder) / "meeting") as group:
            left = outcome_of(*train(case, group, **options))
    except Stopped:
        left = {"stopped": True}
    except RankLost:
        left = {"lost": True}
    torch.save(left, Path(folder) / f"rank-{rank}.pt")
