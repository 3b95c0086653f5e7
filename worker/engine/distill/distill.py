"""Train a student from labels and a teacher. Shapes: B batch, K classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Unpack

import torch
from torch import Tensor, nn

from worker.engine.data.batches import Batch, Normalizer
from worker.engine.data.split import Data
from worker.engine.device import resolve_device, resolve_precision
from worker.engine.distill.losses import LOSSES
from worker.engine.errors import IncompatibleModels, memory_errors
from worker.engine.train.evaluate import predict
from worker.engine.train.loop import FitOutcome, count_outputs, fit
from worker.engine.train.objective import Loss, hard_loss
from worker.engine.train.settings import FitOptions

# Without augmentation the teacher says the same in every epoch: it is asked once, if the answers
# stay below this many bytes.
_MOST_KNOWN: Final = 256 * 2**20


@dataclass(frozen=True)
class Distillation:
    """alpha · hard + (1 − alpha) · soft; the teacher sees the same augmented inputs.

    `normalise` is the teacher's own; None where it equals the student's. `cached_logits` holds the
    teacher's logits of the whole training split, where they never change.
    """

    teacher: nn.Module
    soft_loss: Callable[[Tensor, Tensor], Tensor]
    alpha: float
    label_smoothing: float
    normalise: Normalizer | None = None
    cached_logits: Tensor | None = None

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        teacher_BK = self._teacher_logits(batch, inputs)
        hard = hard_loss(logits_BK, batch.y, self.label_smoothing)
        soft = self.soft_loss(logits_BK, teacher_BK)
        total = self.alpha * hard + (1 - self.alpha) * soft
        return Loss(total, {"hard": hard, "soft": soft})

    # Not inference_mode: its tensors cannot be saved for the student's backward pass.
    @torch.no_grad()
    def _teacher_logits(self, batch: Batch, inputs: Tensor) -> Tensor:
        if self.cached_logits is not None:
            return self.cached_logits[batch.positions]
        seen = inputs if self.normalise is None else self.normalise(batch.x)
        logits_BK: Tensor = self.teacher(seen)
        return logits_BK


def distill(
    student: nn.Module,
    teacher: nn.Module,
    data: Data,
    *,
    student_mean: Sequence[float],
    student_std: Sequence[float],
    teacher_mean: Sequence[float],
    teacher_std: Sequence[float],
    loss: str = "kd",
    temperature: float = 4.0,
    alpha: float = 0.3,
    **options: Unpack[FitOptions],
) -> FitOutcome:
    """Train `student` in place as `fit` does; `alpha` weighs the labels, 1 − alpha the teacher.

    The teacher is put on the run's device, in evaluation mode and without gradients, and stays
    so. Histories hold "total", "hard" and "soft". Raises `IncompatibleModels` if the two differ
    in classes, before anything is trained, and all that `fit` raises.
    """
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    device = resolve_device(options.get("device", "auto"))
    example = data.train.x[:1].to(device)
    teacher_normalise = Normalizer.of(teacher_mean, teacher_std, example, device)
    student_normalise = Normalizer.of(student_mean, student_std, example, device)
    with memory_errors():
        _freeze(teacher.to(device), example)
        ours = count_outputs(student.to(device), student_normalise(example))
        theirs = count_outputs(teacher, teacher_normalise(example))
    if ours != theirs:
        raise IncompatibleModels(f"the teacher has {theirs} classes, the student {ours}")
    cached_logits = None
    if options.get("augmentation", "none") == "none" and _bytes(data, theirs) <= _MOST_KNOWN:
        precision = resolve_precision(options.get("precision", "auto"), device)
        cached_logits = predict(
            teacher, data.train, teacher_mean, teacher_std, device=device, precision=precision
        ).to(device)
    same = tuple(student_mean) == tuple(teacher_mean) and tuple(student_std) == tuple(teacher_std)
    objective = Distillation(
        teacher=teacher,
        soft_loss=partial(LOSSES[loss], temperature=temperature),
        alpha=alpha,
        label_smoothing=options.pop("label_smoothing", 0.0),
        normalise=None if same else teacher_normalise,
        cached_logits=cached_logits,
    )
    return fit(student, data, mean=student_mean, std=student_std, objective=objective, **options)


def _bytes(data: Data, classes: int) -> int:
    return len(data.train) * classes * 4


def _freeze(teacher: nn.Module, example: Tensor) -> None:
    teacher.eval().requires_grad_(False)
    if example.ndim == 4:
        teacher.to(memory_format=torch.channels_last)
