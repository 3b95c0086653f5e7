"""The report of a `prune` job: the pruned model beside the original."""

from collections.abc import Sequence

from service.contract.prune import PruneSpec
from service.contract.prune_result import PruneResult
from service.contract.reports import Cell, Column, Highlight, LineageEntry, Table
from service.reports import show
from service.reports.before_after import before_after_table, of_this_job, timing_notes
from service.reports.before_after_charts import before_after_charts
from service.reports.body import (
    ACCURACY,
    ARTIFACT_NOTE,
    LOSS_COLUMNS,
    Body,
    accuracy_note,
    class_names,
    class_table,
    distinct_names,
    score_cells,
    speedup_highlight,
    table,
)
from service.reports.promises import targets_table
from service.reports.prune_charts import prune_charts
from service.reports.prune_tables import layers_table, steps_table, sweep_table


def prune_body(spec: PruneSpec, result: PruneResult, labels: Sequence[str] | None) -> Body:
    """How much smaller and faster, what that cost, step by step, layer by layer."""
    original, pruned = distinct_names([result.original, result.facts])
    found = of_this_job(result.comparison)
    return Body(
        subject=f"{pruned} from {original}",
        headline=_headline(result, original, pruned),
        highlights=_highlights(result),
        notes=(*timing_notes(found), *_notes(spec, result, pruned)),
        tables=tuple(
            _filled(one)
            for one in (
                before_after_table(found, (original, pruned)),
                _stages(result),
                layers_table(result),
                steps_table(result),
                sweep_table(result),
                targets_table(result.targets),
                _per_class(result, labels),
            )
            if one.rows
        ),
        charts=(
            *before_after_charts(found, (original, pruned), labels),
            *prune_charts(spec, result),
        ),
        lineage=(
            LineageEntry(role="original", model=result.original.model, name=original),
            LineageEntry(role="pruned", model=result.model, name=pruned),
        ),
    )


def _filled(one: Table) -> Table:
    """Without the columns that this job has no value for."""
    columns = tuple(
        column for column in one.columns if any(row.get(column.key) is not None for row in one.rows)
    )
    return table(one.id, one.title, columns, one.rows)


def _headline(result: PruneResult, original: str, pruned: str) -> str:
    fewer = show.ratio(result.nonzero_compression_ratio)
    speed = ""
    if result.latencies:
        first = result.latencies[0]
        speed = f", runs at {show.ratio(first.speedup)} its speed (batch {first.batch_size})"
    return (
        f"{pruned} has {fewer} fewer non-zero parameters than {original}{speed}, and keeps "
        f"{show.percent(result.accuracy_retention)} of its accuracy "
        f"({show.percent(result.test.accuracy)} against "
        f"{show.percent(result.original_test.accuracy)})."
    )


def _highlights(result: PruneResult) -> tuple[Highlight, ...]:
    return (
        Highlight(label="Accuracy retention", value=result.accuracy_retention, format="percent"),
        *speedup_highlight(result.latencies),
        Highlight(
            label="Non-zero compression", value=result.nonzero_compression_ratio, format="ratio"
        ),
        Highlight(label="Size on disk", value=_smallest(result), format="bytes"),
    )


def _smallest(result: PruneResult) -> int:
    return min(result.facts.size_bytes, result.sparse_bytes or result.facts.size_bytes)


def _notes(spec: PruneSpec, result: PruneResult, pruned: str) -> tuple[str, ...]:
    said = []
    if spec.method.name != "structured":
        said.append(
            "Zeros stay in their places: dense kernels run no faster, whatever the sparsity, and "
            "model.safetensors stays as large as it was."
        )
    if result.sparse_bytes is not None:
        said.append(
            f"model.sparse.safetensors ({show.size(result.sparse_bytes)}) holds the same weights "
            "without the zeros, and is read by load; the size among the highlights and the size "
            f"ratio are its. model.safetensors has {show.size(result.facts.size_bytes)}."
        )
    else:
        said.append("Sizes are those of model.safetensors.")
    return (
        *result.warnings,
        *said,
        "Validation chose the epoch and the cut. The test split chose nothing; stages before the "
        "last are scored on it for this report.",
        accuracy_note(pruned, result.test),
        ARTIFACT_NOTE,
    )


def _stages(result: PruneResult) -> Table:
    return table(
        ident="stages",
        title="Accuracy from stage to stage",
        columns=(
            Column(key="stage", title="Stage"),
            Column(key="validation", title="Validation accuracy", format="percent"),
            ACCURACY,
            *LOSS_COLUMNS,
        ),
        rows=(
            {"stage": one.stage, "validation": one.validation_accuracy, **score_cells(one.test)}
            for one in result.stages
        ),
    )


def _per_class(result: PruneResult, labels: Sequence[str] | None) -> Table:
    stages = [one for one in result.stages if one.stage != "original"]
    names = class_names(len(result.test.per_class_accuracy), labels)
    rows: list[dict[str, Cell]] = []
    for index, name in enumerate(names):
        row: dict[str, Cell] = {"class": name}
        for stage in result.stages:
            row[stage.stage] = stage.test.per_class_accuracy[index]
        row["change"] = result.class_change_points[index]
        rows.append(row)
    columns = (
        Column(key="original", title="Original", format="percent"),
        *(Column(key=s.stage, title=s.stage.capitalize(), format="percent") for s in stages),
        Column(key="change", title="Change", unit="points", format="points"),
    )
    return class_table("Test accuracy by class", columns, rows)
