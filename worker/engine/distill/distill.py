"""Train a student from labels and teachers. Shapes: V views, N examples, B batch, K classes."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, Unpack

import torch
from torch import Tensor, nn

from worker.engine.data.batches import Normalizer
from worker.engine.data.split import Data
from worker.engine.device import resolve_device, resolve_precision
from worker.engine.distill import known
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
    MapShape,
    layer_candidates,
    matched,
)
from worker.engine.seeds import derived_seed
from worker.engine.train.answering import Answering
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.prepare import count_outputs
from worker.engine.train.settings import FitOptions

DEFAULT_TERMS: Final = (Term("kd"),)
_EXAMPLES: Final = 32  # on which a teacher's fast copy is compared with it


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


def check_terms(losses: Sequence[Term]) -> None:
    """Raises ValueError for an unknown loss or option, or a loss that comes twice."""
    names = [term.name for term in losses]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"losses must be one or several different ones, got {names}")
    for term in losses:
        unknown = sorted(set(term.options) - set(default_options(term.name)))
        if unknown:
            raise ValueError(f"{term.name} takes no option {', '.join(unknown)}")


def _check_classes(
    student: nn.Module, inputs: Tensor, teachers: Sequence[Teacher], example: Tensor
) -> None:
    """Freezes the teachers on the way, and puts them where `example` is."""
    ours = count_outputs(student, inputs)
    for teacher in teachers:
        _freeze(teacher.module.to(example.device), example)
        normalise = Normalizer.of(teacher.mean, teacher.std, example, example.device)
        theirs = count_outputs(teacher.module, normalise(example))
        if ours != theirs:
            raise IncompatibleModels(f"the teacher has {theirs} classes, the student {ours}")


def _freeze(teacher: nn.Module, example: Tensor) -> None:
    teacher.eval().requires_grad_(False)
    if example.ndim == 4:
        teacher.to(memory_format=torch.channels_last)


def _teachers(
    teachers: Sequence[Teacher],
    mode: TeacherMode,
    data: Data,
    normalisation: tuple[Sequence[float], Sequence[float]],
    losses: Sequence[Term],
    options: FitOptions,
) -> Teachers:
    """Teachers whose logits are known, if they can be and the file or memory is there for them."""
    device = resolve_device(options.get("device", "auto"))
    asked = known.Asked(
        data=data.digest,
        precision=resolve_precision(options.get("precision", "auto"), device),
        views=options.get("views", 0),
        augmentation=options.get("augmentation", "none"),
    )
    if _may_be_known(losses, options) and known.size(asked, data) <= known.MOST_BYTES:
        each = [known.ask_or_read(teacher, data, asked, device) for teacher in teachers]
        weights = [teacher.weight for teacher in teachers]
        views = [combined(view, weights, mode, data.train.y) for view in zip(*each, strict=True)]
        return KnownTeachers(torch.stack(views).half().to(device))
    mean, std = (tuple(values) for values in normalisation)
    example = data.train.x[:_EXAMPLES].to(device)
    # Losses of features listen to the first teacher itself.
    listened = 1 if any(term.takes_features for term in losses) else 0
    return LiveTeachers(
        teachers,
        [
            teacher.module
            if number < listened
            else Answering.of(
                teacher.module,
                Normalizer.of(teacher.mean, teacher.std, example, device)(example),
                asked.precision,
            )
            for number, teacher in enumerate(teachers)
        ],
        [
            None
            if (teacher.mean, teacher.std) == (mean, std)
            else Normalizer.of(teacher.mean, teacher.std, example, device)
            for teacher in teachers
        ],
        mode,
    )


def _may_be_known(losses: Sequence[Term], options: FitOptions) -> bool:
    """Whether logits suffice, and the images are the same each time."""
    if any(term.takes_features for term in losses):
        return False
    if options.get("mixup_alpha", 0) or options.get("cutmix_alpha", 0):
        return False
    return options.get("augmentation", "none") == "none" or options.get("views", 0) > 0


def _tap(
    student: nn.Module,
    student_input: Tensor,
    teacher: Teacher,
    example: Tensor,
    losses: Sequence[Term],
    options: FitOptions,
) -> dict[str, Tapped]:
    """Taps and fresh adapters, seeded apart from the model's weights, of each loss of features."""
    terms = [term for term in losses if term.takes_features]
    if not terms:
        return {}
    normalise = Normalizer.of(teacher.mean, teacher.std, example, example.device)
    ours = layer_candidates(student, student_input)
    theirs = layer_candidates(teacher.module, normalise(example))
    tapped = {}
    for term in terms:
        loss = LOSSES[term.name]
        assert isinstance(loss, FeatureLoss)
        pairs = term.layers or matched(ours, theirs)
        shapes = [(_shape(ours, p.student), _shape(theirs, p.teacher)) for p in pairs]
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(options.get("seed", 0), "adapter", term.name))
            adapter = loss.adapter(shapes)
        tapped[term.name] = Tapped(
            FeatureTap(student, [pair.student for pair in pairs]),
            FeatureTap(teacher.module, [pair.teacher for pair in pairs]),
            adapter,
        )
    return tapped


def _shape(layers: Sequence[Layer], name: str) -> MapShape:
    for layer in layers:
        if layer.name == name:
            return layer.shape
    raise IncompatibleModels(
        f"the model has no layer {name!r} that gives a feature map",
        hint="GET /v1/capabilities lists the layers of each architecture.",
    )
