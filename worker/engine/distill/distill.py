"""Train a student from labels and teachers. Shapes: V views, N examples, B batch, K classes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Unpack

import torch
from torch import Tensor, nn

from worker.engine.data.batches import Normalizer
from worker.engine.data.split import Data
from worker.engine.device import resolve_device, resolve_precision
from worker.engine.distill import known
from worker.engine.distill.adapters import Shapes
from worker.engine.distill.losses import LOSSES, FeatureLoss, default_options
from worker.engine.distill.objective import Distillation, Tapped, Teachers, Term, Weight
from worker.engine.distill.teachers import (
    KnownTeachers,
    LiveTeachers,
    Teacher,
    TeacherMode,
    combined,
)
from worker.engine.errors import IncompatibleModels, memory_errors
from worker.engine.models.features import (
    FeatureTap,
    Layer,
    LayerPair,
    layer_candidates,
    matched,
)
from worker.engine.seeds import derived_seed
from worker.engine.train.loop import FitOutcome, count_outputs, fit
from worker.engine.train.settings import FitOptions

DEFAULT_TERMS: Final = (Term("kd"),)


def distill(
    student: nn.Module,
    teachers: Sequence[Teacher],
    data: Data,
    *,
    student_mean: Sequence[float],
    student_std: Sequence[float],
    losses: Sequence[Term] = DEFAULT_TERMS,
    hard_weight: Weight = 0.3,
    teacher_mode: TeacherMode = "average",
    **options: Unpack[FitOptions],
) -> FitOutcome:
    """Train `student` in place as `fit` does, from its labels and from the teachers.

    The teachers are put on the run's device, in evaluation mode and without gradients, and stay
    so. Where every loss is of logits and the images are the same in every epoch (no augmentation,
    or fixed views of it), the teachers are asked once, before training. Losses of features listen
    to the first teacher. Histories hold "total", "hard" and "soft", and each loss by name where
    there are several. Raises `IncompatibleModels` if the models differ in classes or layers do
    not fit, before anything is trained, and all that `fit` raises.
    """
    check_terms(losses)
    if not teachers:
        raise ValueError("there must be a teacher")
    device = resolve_device(options.get("device", "auto"))
    example = data.train.x[:1].to(device)
    with memory_errors(), ExitStack() as hooks:
        normalise = Normalizer.of(student_mean, student_std, example, device)
        _check_classes(student.to(device), normalise(example), teachers, example)
        tapped = _tap(student, normalise(example), teachers[0], example, losses, options)
        for one in tapped.values():
            hooks.enter_context(one.student)
            hooks.enter_context(one.teacher)
        objective = Distillation(
            losses,
            _teachers(teachers, teacher_mode, data, (student_mean, student_std), losses, options),
            hard_weight=hard_weight,
            label_smoothing=options.pop("label_smoothing", 0.0),
            tapped=tapped,
        )
        return fit(
            student, data, mean=student_mean, std=student_std, objective=objective, **options
        )
