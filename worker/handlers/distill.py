"""`distill`: spec -> engine -> result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from torch import Tensor

from service.contract.before_after import BeforeAfter
from service.contract.distill import (
    ControlResult,
    DistillResult,
    DistillSpec,
    RoundResult,
    TeacherResult,
)
from service.contract.training import Evaluation
from service.reports.key_figures import key_figures
from worker.engine.data.split import Data
from worker.engine.distill.teachers import combined
from worker.engine.errors import EngineError
from worker.engine.models.folder import LoadedModel
from worker.engine.train.evaluate import score
from worker.handlers.before_after import Judged, before_after, paired
from worker.handlers.campaign import (
    Campaign,
    Finished,
    best_student,
    known,
    students,
    summary,
)
from worker.handlers.common import Job, Outcome, evaluation, model_facts
from worker.handlers.lesson import Lesson, LoadedTeacher, legs, load_teacher
from worker.handlers.side_by_side import Saved
from worker.handlers.trained import Trained, produced, save_and_judge
from worker.handlers.underfit import UnderfitWatch


def distill(job: Job, spec: DistillSpec) -> Outcome:
    """Train a student from its teachers and judge all, as saved, on the test split."""
    data = job.data(spec.dataset)
    teachers = [load_teacher(job, teacher, data) for teacher in spec.all_teachers]
    watch = UnderfitWatch(_best_accuracy(job, teachers, data), spec.training)
    lesson = Lesson(job, spec, data, teachers, watch)
    finished = Campaign(job, legs(spec), spec.training).run(data, lesson.train)
    kept = best_student(finished)
    student = _marked(job.start_from(spec.student, data, kept.leg.seed), spec, teachers)
    student.module.load_state_dict(kept.kept_weights)
    trained = save_and_judge(job, student, data, spec.dataset)
    judged = [_judge(job, teacher, data) for teacher in teachers]
    together, teacher_logits = _together(spec, judged, data)
    first, control = judged[0].result.facts, _control(finished)
    warnings = [*watch.warnings, *_warnings(control)]
    teacher = Judged(Saved.natural(judged[0].folder), first, together, teacher_logits)
    compared = _compared(job, spec, teacher, trained, warnings)
    result = DistillResult(
        **trained.result_fields(job, kept, summary(finished), warnings),
        teacher=first,
        teacher_test=together,
        teachers=tuple(one.result for one in judged) if len(judged) > 1 else (),
        compression_ratio=compared.compression_ratio,
        accuracy_retention=compared.accuracy_retention,
        accuracy_change_points=compared.accuracy_change_points,
        agreement=compared.agreement,
        class_change_points=compared.class_change_points,
        rounds=_rounds(finished, kept) if spec.rounds > 1 else (),
        control=control,
        teacher_logits=lesson.source_of_logits(),
        comparison=compared,
    )
    source = teachers[0].source
    names = " and ".join(teacher.source.name for teacher in teachers)
    lineage = f"Distilled from {names} on {spec.dataset}."
    return Outcome(
        result,
        produced(job, trained, key_figures(result), source, lineage),
        student.config.labels,
        lesson.computed_logits(),
    )


@dataclass(frozen=True)
class _JudgedTeacher:
    result: TeacherResult
    logits: Tensor
    folder: Path


def _judge(job: Job, teacher: LoadedTeacher, data: Data) -> _JudgedTeacher:
    test, logits_NK = job.evaluate(teacher.loaded, data.test)
    source, folder = teacher.source, job.folder / teacher.source.folder
    facts = model_facts(teacher.loaded, folder, source.id, source.name)
    result = TeacherResult(facts=facts, test=test, weight=teacher.spec.weight)
    return _JudgedTeacher(result, logits_NK, folder)


def _together(
    spec: DistillSpec, judged: Sequence[_JudgedTeacher], data: Data
) -> tuple[Evaluation, Tensor]:
    """What the teachers score together, by the weighted mean of their logits: to take the best one
    for each example would need its label."""
    if len(judged) == 1:
        return judged[0].result.test, judged[0].logits
    labels = data.test.y.cpu()
    weights = [one.result.weight for one in judged]
    logits_NK = combined([one.logits for one in judged], weights, "average", labels)
    return evaluation(score(logits_NK, labels)), logits_NK


def _compared(
    job: Job, spec: DistillSpec, teacher: Judged, trained: Trained, warnings: list[str]
) -> BeforeAfter:
    """The student beside its teacher. Of a group the first process times alone; and a training
    that succeeded is not lost to a measurement that did not."""
    student = trained.judged(job)
    sizes = spec.latency_batch_sizes if job.group.is_first else ()
    try:
        latencies = paired(job, teacher.saved, student.saved, sizes)
    except EngineError as error:
        warnings.append(f"Latency was not measured: {error}")
        latencies = ()
    return before_after(job, teacher, student, latencies, warnings)


def _best_accuracy(job: Job, teachers: Sequence[LoadedTeacher], data: Data) -> float:
    """On the validation split, of the best teacher."""
    return max(job.evaluate(one.loaded, data.validation)[0].accuracy for one in teachers)


def _marked(
    student: LoadedModel, spec: DistillSpec, teachers: Sequence[LoadedTeacher]
) -> LoadedModel:
    """The student, with what is being done to it in its config.json."""
    taught = [teacher.source.id for teacher in teachers]
    step = {
        "kind": "distill",
        **({"teacher": taught[0]} if len(taught) == 1 else {"teachers": taught}),
        "loss": [loss.model_dump(mode="json") for loss in spec.losses],
    }
    config = replace(student.config, compression=(*student.config.compression, step))
    return LoadedModel(student.module, config)


def _rounds(finished: Sequence[Finished], kept: Finished) -> tuple[RoundResult, ...]:
    """The generations that led to the student that was kept."""
    return tuple(
        RoundResult(
            round=one.leg.round,
            validation_accuracy=one.best.validation_accuracy,
            test_accuracy=known(one.test_accuracy),
        )
        for one in finished
        if one.leg.role == "student" and one.leg.seed == kept.leg.seed
    )


def _control(finished: Sequence[Finished]) -> ControlResult | None:
    controls = [one for one in finished if one.leg.role == "control"]
    if not controls:
        return None
    gains = tuple(
        100 * (known(student.test_accuracy) - known(control.test_accuracy))
        for student, control in zip(students(finished), controls, strict=True)
    )
    return ControlResult(
        validation_accuracy=fmean(one.best.validation_accuracy for one in controls),
        test_accuracy=fmean(known(one.test_accuracy) for one in controls),
        gain_points=fmean(gains),
        gains_points=gains,
    )


def _warnings(control: ControlResult | None) -> tuple[str, ...]:
    if control is None or control.gain_points >= 0:
        return ()
    return (
        f"The control won: without a teacher the same student is {-control.gain_points:.2f} "
        "points better on the test split. Try `preset: recommended`, an alpha that moves from 0.9 "
        "to 0.1 or a lower temperature, or train longer.",
    )
