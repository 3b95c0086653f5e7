"""`distill`: spec -> engine -> result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from torch import Tensor

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
from worker.engine.models.folder import LoadedModel
from worker.engine.train.evaluate import agreement, score
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
from worker.handlers.trained import produced, save_and_judge
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
    result = DistillResult(
        **trained.result_fields(
            job, kept, summary(finished), (*watch.warnings, *_warnings(control))
        ),
        teacher=first,
        teacher_test=together,
        teachers=tuple(one.result for one in judged) if len(judged) > 1 else (),
        compression_ratio=first.parameters / trained.facts.parameters,
        accuracy_retention=retention(trained.test.accuracy, together.accuracy),
        accuracy_change_points=100 * (trained.test.accuracy - together.accuracy),
        agreement=agreement(trained.test_logits, teacher_logits),
        class_change_points=class_changes(trained.test, together),
        rounds=_rounds(finished, kept) if spec.rounds > 1 else (),
        control=control,
        teacher_logits=lesson.source_of_logits(),
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
class _Judged:
    result: TeacherResult
    logits: Tensor


def _judge(job: Job, teacher: LoadedTeacher, data: Data) -> _Judged:
    test, logits_NK = job.evaluate(teacher.loaded, data.test)
    source = teacher.source
    facts = model_facts(teacher.loaded, job.folder / source.folder, source.id, source.name)
    return _Judged(TeacherResult(facts=facts, test=test, weight=teacher.spec.weight), logits_NK)


def _together(
    spec: DistillSpec, judged: Sequence[_Judged], data: Data
) -> tuple[Evaluation, Tensor]:
    """What the teachers score together, by the weighted mean of their logits: to take the best one
    for each example would need its label."""
    if len(judged) == 1:
        return judged[0].result.test, judged[0].logits
    labels = data.test.y.cpu()
    weights = [one.result.weight for one in judged]
    logits_NK = combined([one.logits for one in judged], weights, "average", labels)
    return evaluation(score(logits_NK, labels)), logits_NK


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


def class_changes(student: Evaluation, teacher: Evaluation) -> tuple[float | None, ...]:
    """Student minus teacher accuracy of each class, in percentage points."""
    return tuple(
        None if was is None or now is None else 100 * (now - was)
        for was, now in zip(teacher.per_class_accuracy, student.per_class_accuracy, strict=True)
    )


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


def retention(accuracy: float, baseline: float) -> float:
    """accuracy ÷ baseline; 0 for a baseline that gets nothing right, where it is undefined."""
    return accuracy / baseline if baseline else 0.0
