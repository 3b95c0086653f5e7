"""Trials of the same work done by the usual loop and by ours, to compare what they end with."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks import real_data
from benchmarks.lessons import cifar10_subset
from benchmarks.reference_loop import ALPHA, LEARNING_RATE, TEMPERATURE, ReferenceLoop, accuracy
from benchmarks.trials import kept
from worker.engine.data.builtin import BUILTIN
from worker.engine.data.split import Data as Images
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Term
from worker.engine.distill.teachers import Teacher
from worker.engine.models.cnn import cnn_student, cnn_teacher
from worker.engine.seeds import seed_everything
from worker.engine.train.loop import fit

Data = Literal["cifar10", "digits"]
Loop = Literal["reference", "ours"]

_BATCH: Final = 128
_EPOCHS: Final = {"cifar10": 3, "digits": 8}
_TEACHER_EPOCHS: Final = 8
_TEACHER_FILE: Final = Path(".bench/digits_teacher.safetensors")


@dataclass(frozen=True)
class DigitsTeacher:
    """Test accuracy in percent of the teacher on digits, a cnn_teacher; it stays in a file."""

    @property
    def facts(self) -> dict[str, Any]:
        """Its length."""
        return {"trial": "digits teacher", "epochs": _TEACHER_EPOCHS}

    def measure(self) -> float:
        """Train it, if it is not there."""
        data, teacher = _work("digits")
        assert data.test is not None
        return 100 * accuracy(teacher.module, data.test, teacher.mean, teacher.std)


@dataclass(frozen=True)
class Twin:
    """cnn_student, Adam at a constant rate, no augmentation; test accuracy in percent."""

    data: Data
    loop: Loop
    seed: int

    @property
    def facts(self) -> dict[str, Any]:
        """Data, loop, seed and length."""
        return {
            "trial": "twin",
            "data": self.data,
            "loop": self.loop,
            "seed": self.seed,
            "epochs": _EPOCHS[self.data],
        }

    def measure(self) -> float:
        """The reference ends with its last epoch, ours with its best on validation."""
        data, teacher = _work(self.data)
        seed_everything(self.seed, deterministic=False)
        student = cnn_student(data.classes, tuple(data.train.x.shape[1:]))
        mean, std, epochs = teacher.mean, teacher.std, _EPOCHS[self.data]
        if self.loop == "reference":
            loop = ReferenceLoop(student, teacher.module, data.train, _BATCH, mean, std)
            for _ in range(epochs):
                loop.epoch()
        else:
            distill(
                student,
                [teacher],
                data,
                student_mean=mean,
                student_std=std,
                losses=(Term("kd", {"temperature": TEMPERATURE}, weight=1 - ALPHA),),
                hard_weight=ALPHA,
                epochs=epochs,
                batch_size=_BATCH,
                learning_rate=LEARNING_RATE,
                scheduler="constant",
                seed=self.seed,
            )
        assert data.test is not None
        return 100 * accuracy(student, data.test, mean, std)


def test_images(data: Data) -> int:
    """How many a twin is judged on."""
    test = _work(data)[0].test
    assert test is not None
    return len(test)


@cache
def _work(name: Data) -> tuple[Images, Teacher]:
    if name == "cifar10":
        return cifar10_subset(), Teacher(real_data.resnet20(), real_data.MEAN, real_data.STD)
    data = BUILTIN["digits"]()
    mean, std = (0.5,) * 3, (0.5,) * 3
    seed_everything(0, deterministic=True)
    module = cnn_teacher(data.classes, tuple(data.train.x.shape[1:]))

    def train() -> None:
        fit(
            module,
            data,
            mean=mean,
            std=std,
            epochs=_TEACHER_EPOCHS,
            learning_rate=LEARNING_RATE,
            scheduler="cosine",
            seed=0,
        )

    return data, Teacher(kept(module, _TEACHER_FILE, train), mean, std)
