"""The report of a `distill` job: the student beside its teacher."""

from collections.abc import Sequence

from service.contract.distill import DistillResult, DistillSpec
from service.contract.losses import mix_weights
from service.contract.reports import Cell, Column, Highlight, LineageEntry, Table
from service.reports import show
from service.reports.body import (
    ACCURACY,
    ARTIFACT_NOTE,
    COMPRESSION,
    LOSS_COLUMNS,
    RETENTION,
    SIZE_COLUMNS,
    Body,
    accuracy_note,
    class_names,
    class_table,
    distinct_names,
    kind_columns,
    model_cells,
    score_cells,
    split_note,
    started_from,
    table,
)
from service.reports.curves import distillation_chart
from service.reports.distill_notes import comparisons, gain_notes, loss_notes
from service.reports.train import training_table


def distill_body(spec: DistillSpec, result: DistillResult, labels: Sequence[str] | None) -> Body:
    """How much smaller the student is, how much accuracy that cost, and class by class."""
    teacher, student = distinct_names([result.teacher, result.facts])
    return Body(
        subject=f"{student} from {teacher}",
        headline=_headline(result, teacher, student),
        highlights=(
            Highlight(
                label="Accuracy retention", value=result.accuracy_retention, format="percent"
            ),
            Highlight(label="Compression ratio", value=result.compression_ratio, format="ratio"),
            Highlight(label="Student accuracy", value=result.test.accuracy, format="percent"),
            Highlight(label="Student size", value=result.facts.size_bytes, format="bytes"),
        ),
        notes=(
            *result.warnings,
            *loss_notes(spec),
            *gain_notes(result),
            split_note(result.data),
            accuracy_note(student, result.test),
            "Retention is the student's test accuracy ÷ the teacher's; agreement is the share of "
            "test examples on which both predict the same class, right or wrong.",
            ARTIFACT_NOTE,
        ),
        tables=(
            _summary(result, teacher, student),
            *comparisons(result),
            training_table(result),
            _per_class(result, labels),
        ),
        charts=(distillation_chart(result, _weights(spec)),),
        lineage=(
            *_teachers(result, teacher),
            *started_from(spec.student),
            LineageEntry(role="student", model=result.model, name=student),
        ),
    )


def _headline(result: DistillResult, teacher: str, student: str) -> str:
    return (
        f"{student} keeps {show.percent(result.accuracy_retention)} of {teacher}'s accuracy "
        f"({show.percent(result.test.accuracy)} against "
        f"{show.percent(result.teacher_test.accuracy)}) with "
        f"{_fewer(result.compression_ratio)} parameters "
        f"({show.count(result.facts.parameters)} against "
        f"{show.count(result.teacher.parameters)})."
    )


def _fewer(compression: float) -> str:
    more = compression < 1  # a student larger than its teacher is odd, but legal
    return f"{show.ratio(1 / compression)} more" if more else f"{show.ratio(compression)} fewer"


def _weights(spec: DistillSpec) -> dict[str, tuple[float, ...]]:
    """Of each term that the history names, by epoch."""
    weights = mix_weights(spec.losses, spec.training.epochs)
    if len(spec.losses) == 1:
        return {"hard": weights.hard, "soft": weights.soft[0]}
    named = zip((loss.name for loss in spec.losses), weights.soft, strict=True)
    return {"hard": weights.hard, **dict(named)}


def _teachers(result: DistillResult, name: str) -> tuple[LineageEntry, ...]:
    if not result.teachers:
        return (LineageEntry(role="teacher", model=result.teacher.model, name=name),)
    return tuple(
        LineageEntry(role="teacher", model=one.facts.model, name=one.facts.name)
        for one in result.teachers
    )


def _summary(result: DistillResult, teacher: str, student: str) -> Table:
    columns = (
        *SIZE_COLUMNS,
        ACCURACY,
        RETENTION,
        Column(key="accuracy_change_points", title="Change", unit="points", format="points"),
        COMPRESSION,
        Column(key="agreement", title="Agreement", format="percent"),
        *LOSS_COLUMNS,
        *kind_columns([result.teacher, result.facts]),
    )
    return table(
        ident="summary",
        title="Teacher and student",
        columns=columns,
        rows=(
            {**model_cells(result.teacher, teacher), **score_cells(result.teacher_test)},
            {
                **model_cells(result.facts, student),
                **score_cells(result.test),
                "compression_ratio": result.compression_ratio,
                "accuracy_retention": result.accuracy_retention,
                "accuracy_change_points": result.accuracy_change_points,
                "agreement": result.agreement,
            },
        ),
    )


def _per_class(result: DistillResult, labels: Sequence[str] | None) -> Table:
    teacher, student = result.teacher_test.per_class_accuracy, result.test.per_class_accuracy
    names = class_names(len(student), labels)
    rows: list[dict[str, Cell]] = [
        {"class": name, "teacher": was, "student": now, "change": _change(was, now)}
        for name, was, now in zip(names, teacher, student, strict=True)
    ]
    columns = (
        Column(key="teacher", title="Teacher", format="percent"),
        Column(key="student", title="Student", format="percent"),
        Column(key="change", title="Change", unit="points", format="points"),
    )
    return class_table("Test accuracy by class", columns, rows)


def _change(was: float | None, now: float | None) -> float | None:
    return None if was is None or now is None else 100 * (now - was)
