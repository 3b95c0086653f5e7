"""The report of a `distill` job: the student beside its teacher."""

from collections.abc import Sequence

from service.contract.distill import DistillResult, DistillSpec
from service.contract.losses import mix_weights
from service.contract.reports import Highlight, LineageEntry
from service.reports import show
from service.reports.before_after import (
    before_after_table,
    class_changes_table,
    of_this_job,
    timing_notes,
)
from service.reports.before_after_charts import before_after_charts
from service.reports.body import (
    ARTIFACT_NOTE,
    Body,
    accuracy_note,
    distinct_names,
    speedup_highlight,
    split_note,
    started_from,
)
from service.reports.curves import distillation_chart
from service.reports.distill_notes import comparisons, gain_notes, loss_notes
from service.reports.train import training_table


def distill_body(spec: DistillSpec, result: DistillResult, labels: Sequence[str] | None) -> Body:
    """How much smaller the student is, how much accuracy that cost, and class by class."""
    teacher, student = distinct_names([result.teacher, result.facts])
    found = of_this_job(result.comparison)
    return Body(
        subject=f"{student} from {teacher}",
        headline=_headline(result, teacher, student),
        highlights=(
            Highlight(
                label="Accuracy retention", value=result.accuracy_retention, format="percent"
            ),
            Highlight(label="Compression ratio", value=result.compression_ratio, format="ratio"),
            *speedup_highlight(found.latencies),
            Highlight(label="Student accuracy", value=result.test.accuracy, format="percent"),
            Highlight(label="Student size", value=result.facts.size_bytes, format="bytes"),
        ),
        notes=(
            *result.warnings,
            *timing_notes(found),
            *loss_notes(spec),
            *gain_notes(result),
            split_note(result.data),
            accuracy_note(student, result.test),
            "Retention is the student's test accuracy ÷ the teacher's; agreement is the share of "
            "test examples on which both predict the same class, right or wrong.",
            *_several_note(result, teacher),
            ARTIFACT_NOTE,
        ),
        tables=(
            before_after_table(found, (teacher, student)),
            *comparisons(result),
            training_table(result),
            class_changes_table(found, labels),
        ),
        charts=(
            *before_after_charts(found, (teacher, student), labels),
            distillation_chart(result, _weights(spec)),
        ),
        lineage=(
            *_teachers(result, teacher),
            *started_from(spec.student),
            LineageEntry(role="student", model=result.model, name=student),
        ),
    )


def _headline(result: DistillResult, teacher: str, student: str) -> str:
    sizes = (result.facts.parameters, result.teacher.parameters)
    student_count, teacher_count = show.counts(sizes)
    return (
        f"{student} keeps {show.percent(result.accuracy_retention)} of {teacher}'s accuracy "
        f"({show.percent(result.test.accuracy)} against "
        f"{show.percent(result.teacher_test.accuracy)}) with "
        f"{_fewer(result.compression_ratio)} parameters "
        f"({student_count} against {teacher_count})."
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


def _several_note(result: DistillResult, first: str) -> tuple[str, ...]:
    if not result.teachers:
        return ()
    return (
        f"The baseline's size, latency and memory are those of {first}, the first teacher; its "
        "scores are those of what all teachers say together.",
    )
