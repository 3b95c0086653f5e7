"""The report of a `quantize` job: the quantised graph beside the original."""

from collections.abc import Sequence

from service.contract.quantize_result import QuantizeResult
from service.contract.reports import Cell, Column, Highlight, LineageEntry, Table
from service.reports import show
from service.reports.body import (
    ACCURACY,
    ARTIFACT_NOTE,
    LOSS_COLUMNS,
    RETENTION,
    SIZE_COLUMNS,
    Body,
    accuracy_note,
    class_names,
    class_table,
    distinct_names,
    latency_table,
    model_cells,
    score_cells,
    speedup_highlight,
    table,
)


def quantize_body(result: QuantizeResult, labels: Sequence[str] | None) -> Body:
    """How much smaller and faster, what that cost, layer by layer."""
    original, made = distinct_names([result.original, result.facts])
    return Body(
        subject=f"{made} from {original}",
        headline=_headline(result, original, made),
        highlights=_highlights(result),
        notes=_notes(result, made),
        tables=(
            _summary(result, original, made),
            *_latencies(result),
            _layers(result),
            _per_class(result, labels),
        ),
        charts=(),
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
        Highlight(label="Accuracy change", value=result.accuracy_change_points, format="points"),
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
        f"Both graphs ran in {result.runtime}; the speed-up is against the float32 graph there, "
        "not against PyTorch.",
        "Parameters of the quantised graph are all numbers that it stores, scales among them.",
        accuracy_note(made, result.test),
        ARTIFACT_NOTE,
    )


def _summary(result: QuantizeResult, original: str, made: str) -> Table:
    return table(
        ident="summary",
        title="Original and quantised",
        columns=(
            *SIZE_COLUMNS,
            ACCURACY,
            RETENTION,
            Column(key="change", title="Change", unit="points", format="points"),
            Column(key="size_ratio", title="Size after ÷ before", format="percent"),
            *LOSS_COLUMNS,
        ),
        rows=(
            {**model_cells(result.original, original), **score_cells(result.original_test)},
            {
                **model_cells(result.facts, made),
                **score_cells(result.test),
                "accuracy_retention": result.accuracy_retention,
                "change": result.accuracy_change_points,
                "size_ratio": result.size_ratio,
            },
        ),
    )


def _latencies(result: QuantizeResult) -> tuple[Table, ...]:
    if not result.latencies:
        return ()
    title = f"Latency in {result.runtime}, in turns"
    rows = ((one, one.float_p50_ms, one.quantized_p50_ms) for one in result.latencies)
    return (latency_table(title, ("float", "Float32"), ("quantized", "Quantised"), rows),)


def _layers(result: QuantizeResult) -> Table:
    measured = any(one.sensitivity is not None for one in result.layers)
    sensitivity = Column(key="sensitivity", title="Error of its int8 alone")
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
                "sensitivity": None if one.sensitivity is None else f"{one.sensitivity:.1e}",
            }
            for one in result.layers
        ),
    )


def _per_class(result: QuantizeResult, labels: Sequence[str] | None) -> Table:
    names = class_names(len(result.test.per_class_accuracy), labels)
    rows: list[dict[str, Cell]] = [
        {"class": name, "original": before, "quantized": after, "change": change}
        for name, before, after, change in zip(
            names,
            result.original_test.per_class_accuracy,
            result.test.per_class_accuracy,
            result.class_change_points,
            strict=True,
        )
    ]
    columns = (
        Column(key="original", title="Original", format="percent"),
        Column(key="quantized", title="Quantised", format="percent"),
        Column(key="change", title="Change", unit="points", format="points"),
    )
    return class_table("Test accuracy by class", columns, rows)
