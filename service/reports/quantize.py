"""The report of a `quantize` job: the quantised graph beside the original."""

from collections.abc import Sequence

from service.contract.quantize_result import QuantizeResult
from service.contract.reports import Column, Highlight, LineageEntry, Quantity, Table
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
    table,
)
from service.reports.promises import targets_table
from service.reports.quantize_charts import quantize_charts


def quantize_body(result: QuantizeResult, labels: Sequence[str] | None) -> Body:
    """How much smaller and faster, what that cost, layer by layer."""
    original, made = distinct_names([result.original, result.facts])
    found = of_this_job(result.comparison)
    return Body(
        subject=f"{made} from {original}",
        headline=_headline(result, original, made),
        highlights=_highlights(result),
        notes=(*timing_notes(found), *_notes(result, made)),
        tables=(
            before_after_table(found, (original, made)),
            *(targets_table(result.targets),)[: len(result.targets)],
            *_finetuning(result),
            _layers(result),
            class_changes_table(found, labels),
        ),
        charts=(
            *before_after_charts(found, (original, made), labels),
            *quantize_charts(result),
        ),
        lineage=(
            LineageEntry(role="original", model=result.original.model, name=original),
            LineageEntry(role="quantised", model=result.model, name=made),
        ),
    )


def _headline(result: QuantizeResult, original: str, made: str) -> str:
    speed = ""
    if result.latencies:
        first = result.latencies[0]
        speed = (
            f", runs at {show.ratio(first.speedup)} the speed of the same graph in float32 "
            f"(batch {first.batch_size})"
        )
    return (
        f"{made} takes {show.percent(result.size_ratio)} of the bytes of {original}{speed}, and "
        f"its accuracy changes by {show.points(result.accuracy_change_points)} points "
        f"({show.percent(result.test.accuracy)} against "
        f"{show.percent(result.original_test.accuracy)})."
    )


def _highlights(result: QuantizeResult) -> tuple[Highlight, ...]:
    return (
        Highlight(
            label="Accuracy change",
            value=Quantity(value=result.accuracy_change_points, format="points", unit="points"),
            format="points",
        ),
        *speedup_highlight(result.latencies),
        Highlight(label="Size after ÷ before", value=result.size_ratio, format="percent"),
        Highlight(label="Agreement", value=result.agreement, format="percent"),
    )


def _notes(result: QuantizeResult, made: str) -> tuple[str, ...]:
    ranges: tuple[str, ...] = ()
    if result.calibration_samples:
        ranges = (
            f"Ranges of activations were measured on {show.count(result.calibration_samples)} "
            "examples of the training split.",
        )
    return (
        *result.warnings,
        *ranges,
        f"Graphs ran in {result.runtime}. The speed-up of the headline is against the float32 "
        "graph there: what fewer bits gain. The one against PyTorch (eager) is what a change of "
        "runtime and of bits gain together.",
        "Parameters of the quantised graph are all numbers that it stores, scales among them.",
        accuracy_note(made, result.test),
        ARTIFACT_NOTE,
    )


def _finetuning(result: QuantizeResult) -> tuple[Table, ...]:
    """Validation accuracy along the way, where the network was trained with the rounding."""
    tuning = result.finetuning
    if tuning is None:
        return ()
    steps = (
        ("original", result.original_validation.accuracy, result.original_test.accuracy),
        ("int8, not trained", tuning.before.accuracy, tuning.test_before.accuracy),
        ("int8, trained with the rounding", tuning.after.accuracy, None),
        ("as saved", result.validation.accuracy, result.test.accuracy),
    )
    return (
        table(
            ident="finetuning",
            title=f"Training with int8's rounding, {len(tuning.history)} epochs",
            columns=(
                Column(key="step", title="Network"),
                Column(key="validation", title="Validation accuracy", format="percent"),
                Column(key="test", title="Test accuracy", format="percent"),
            ),
            rows=({"step": name, "validation": v, "test": t} for name, v, t in steps),
        ),
    )


def _layers(result: QuantizeResult) -> Table:
    measured = any(one.sensitivity is not None for one in result.layers)
    sensitivity = Column(key="sensitivity", title="Error of its int8 alone", format="scientific")
    return table(
        ident="layers",
        title="Layers",
        columns=(
            Column(key="name", title="Layer"),
            Column(key="operator", title="Operator"),
            Column(key="weights", title="Weights", format="count"),
            Column(key="kept", title="Kept as"),
            *(sensitivity,)[:measured],
        ),
        rows=(
            {
                "name": one.name,
                "operator": one.operator,
                "weights": one.weights,
                "kept": result.method if one.is_quantized else "float32",
                "sensitivity": one.sensitivity,
            }
            for one in result.layers
        ),
    )
