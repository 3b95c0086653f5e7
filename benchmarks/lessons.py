"""Trials of `distill` as a job runs it: students of the public ResNet-20 on part of CIFAR-10.

Each epoch sees its own view of the images, the same one in every training, so that the teacher's
logits are asked for once by the first training and read by the others.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import real_data
from service.contract.distill import DistillSpec
from service.contract.losses import mix_weights
from worker.engine.data.split import Data
from worker.engine.device import resolve_precision
from worker.engine.distill import known
from worker.engine.distill.distill import distill
from worker.engine.distill.teachers import Teacher
from worker.engine.models.folder import build
from worker.engine.seeds import seed_everything
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import fit
from worker.engine.train.settings import FitOptions
from worker.handlers.lesson import term_of

_AUGMENTATION: Final = "flip_and_crop"
_TRAIN, _VALIDATION = 1_000, 200  # of each class
# Of teacher and student; neither is ever fetched.
_NOBODY: Final = "mdl_" + "0" * 26


@dataclass(frozen=True)
class Lesson:
    """One training on CIFAR-10. `taught` are fields of a distill spec; None is the control."""

    student: str
    epochs: int
    seed: int
    taught: dict[str, Any] | None = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """The losses as the spec resolves them, so that a changed default is measured anew."""
        spec = self._spec()
        losses = None if spec is None else [loss.model_dump() for loss in spec.losses]
        return {
            "trial": "cifar10",
            "student": self.student,
            "epochs": self.epochs,
            "views": self.epochs,
            "seed": self.seed,
            "losses": losses,
        }

    def measure(self) -> float:
        """Train, and judge the best validation epoch on the test images: accuracy in percent."""
        data, config = cifar10_subset(), real_data.resnet20_config(self.student)
        mean, std = config.mean, config.std
        seed_everything(self.seed, deterministic=True)
        student, options, spec = build(config), _options(self.epochs, self.seed), self._spec()
        if spec is None:
            fit(student, data, mean=mean, std=std, **options)
        else:
            weights = mix_weights(spec.losses, self.epochs)
            terms = [term_of(a, w) for a, w in zip(spec.losses, weights.soft, strict=True)]
            distill(
                student,
                [_teacher(self.epochs)],
                data,
                student_mean=mean,
                student_std=std,
                losses=terms,
                hard_weight=weights.hard,
                **options,
            )
        return 100 * evaluate(student, data.test, mean, std).accuracy

    def _spec(self) -> DistillSpec | None:
        if self.taught is None:
            return None
        return DistillSpec.model_validate(
            {
                "teacher": _NOBODY,
                "student": {"architecture": self.student},
                "dataset": "digits",  # any: the data come from elsewhere
                "training": {"epochs": self.epochs},
                **self.taught,
            }
        )


@dataclass(frozen=True)
class LessonTeacher:
    """Accuracy in percent of the teacher on the views that lessons of that length see."""

    epochs: int

    @property
    def facts(self) -> dict[str, Any]:
        """How many views."""
        return {"trial": "cifar10 teacher", "views": self.epochs}

    def measure(self) -> float:
        """Ask it, if its logits are not there."""
        data, device = cifar10_subset(), torch.device("cpu")
        asked = known.Asked(
            data=data.digest,
            precision=resolve_precision("auto", device),
            views=self.epochs,
            augmentation=_AUGMENTATION,
        )
        logits_VNK = known.ask_or_read(_teacher(self.epochs), data, asked, device)
        return 100 * float((logits_VNK.argmax(2) == data.train.y).float().mean())


@cache
def cifar10_subset() -> Data:
    """10,000 images to learn from and 2,000 others to pick by, balanced; all test images."""
    everything, test = real_data.cifar10()
    draw = torch.Generator().manual_seed(1)
    train, validation = [], []
    for label in range(10):
        members = torch.nonzero(everything.y == label).flatten()
        members = members[torch.randperm(len(members), generator=draw)]
        train.append(members[:_TRAIN])
        validation.append(members[_TRAIN : _TRAIN + _VALIDATION])
    return Data.of(everything.take(torch.cat(train)), everything.take(torch.cat(validation)), test)


def _teacher(views: int) -> Teacher:
    path = Path(f".bench/resnet20_{views}_views.safetensors")
    path.parent.mkdir(exist_ok=True)
    return Teacher(
        real_data.resnet20(), real_data.MEAN, real_data.STD, logits_file=path, digest="resnet20"
    )


def _options(epochs: int, seed: int) -> FitOptions:
    return FitOptions(
        epochs=epochs,
        batch_size=128,
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=5e-4,
        scheduler="one_cycle",
        warmup_share=0.2,
        max_grad_norm=5.0,
        augmentation=_AUGMENTATION,
        views=epochs,
        seed=seed,
    )
