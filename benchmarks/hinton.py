"""Trials of Hinton, Vinyals and Dean 2015 (arXiv:1503.02531), section 3: MNIST, two layers of ReLU.

The teacher has 1,200 units a layer, dropout, and images jittered by up to two pixels; the student
has 800, no dropout and no jitter. Theirs: 67 errors the teacher, 146 the student alone, 74 the
student taught at a temperature of 20.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import real_data
from benchmarks.trials import kept
from worker.engine.data.split import Data, Split
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Term
from worker.engine.distill.teachers import Teacher
from worker.engine.models.mlp import mlp
from worker.engine.seeds import seed_everything
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import fit
from worker.engine.train.settings import FitOptions

_MEAN, _STD = (0.1307,), (0.3081,)
_VALIDATION: Final = 5_000
_JITTER: Final = 2  # pixels
_COPIES: Final = 4  # of each image, jittered
_IMAGE: Final = (1, 28, 28)
_TEMPERATURE: Final = 20.0
_ALPHA: Final = 0.1  # of the labels
_TEACHER_FILE: Final = Path(".bench/hinton_teacher.safetensors")


@dataclass(frozen=True)
class HintonTeacher:
    """Errors of the teacher on the 10,000 test images; it stays in `_TEACHER_FILE`."""

    epochs: int = 5

    @property
    def facts(self) -> dict[str, Any]:
        """Length and shape."""
        return {"trial": "hinton teacher", "epochs": self.epochs, "copies": _COPIES}

    def measure(self) -> float:
        """Train it, if it is not there."""
        return _errors(_teacher(self.epochs), _mnist())


@dataclass(frozen=True)
class HintonStudent:
    """Errors of a student on the 10,000 test images."""

    taught: bool
    seed: int
    epochs: int = 10

    @property
    def facts(self) -> dict[str, Any]:
        """What differs."""
        return {
            "trial": "hinton student", "taught": self.taught, "seed": self.seed,
            "epochs": self.epochs, "temperature": _TEMPERATURE, "alpha": _ALPHA,
            **({"teacher": HintonTeacher().facts} if self.taught else {}),
        }  # fmt: skip

    def measure(self) -> float:
        """Train it, and the teacher if it is not there."""
        data = _mnist()
        seed_everything(self.seed, deterministic=True)
        student, options = mlp(10, _IMAGE, (800, 800)), _options(self.epochs, self.seed)
        if not self.taught:
            fit(student, data, mean=_MEAN, std=_STD, **options)
            return _errors(student, data)
        distill(
            student,
            [Teacher(_teacher(HintonTeacher().epochs), _MEAN, _STD)],
            data,
            student_mean=_MEAN,
            student_std=_STD,
            losses=(Term("kd", {"temperature": _TEMPERATURE}, weight=1 - _ALPHA),),
            hard_weight=_ALPHA,
            **options,
        )
        return _errors(student, data)


def _teacher(epochs: int) -> nn.Module:
    seed_everything(0, deterministic=True)
    module = mlp(10, _IMAGE, (1200, 1200), dropout=0.5)

    def train() -> None:
        data, draw = _mnist(), torch.Generator().manual_seed(0)
        x = torch.cat([_jittered(data.train.x, draw) for _ in range(_COPIES)])
        jittered = Data.of(Split(x, data.train.y.repeat(_COPIES)), data.validation, data.test)
        fit(module, jittered, mean=_MEAN, std=_STD, **_options(epochs, 0))

    return kept(module, _TEACHER_FILE, train)


def _options(epochs: int, seed: int) -> FitOptions:
    return FitOptions(
        epochs=epochs, batch_size=128, learning_rate=1e-3, scheduler="cosine", seed=seed
    )


def _errors(module: nn.Module, data: Data) -> float:
    assert data.test is not None
    return round((1 - evaluate(module, data.test, _MEAN, _STD).accuracy) * len(data.test))


@cache
def _mnist() -> Data:
    train, test = real_data.mnist()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1))
    picked, rest = order[:_VALIDATION], order[_VALIDATION:]
    return Data.of(train.take(rest), train.take(picked), test)


def _jittered(x_NCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Each image moved on its own, evenly over all shifts."""
    side = 2 * _JITTER + 1
    padded = F.pad(x_NCHW, (_JITTER,) * 4)
    shifts_N = torch.randint(side * side, (len(x_NCHW),), generator=draw)
    moved = torch.empty_like(x_NCHW)
    for shift in range(side * side):
        top, left = divmod(shift, side)
        rows = shifts_N == shift
        moved[rows] = padded[rows, :, top : top + 28, left : left + 28]
    return moved
