"""The report of a `train` job."""

from collections.abc import Sequence

from service.contract.reports import Cell, Column, Highlight, LineageEntry, Table
from service.contract.train import TrainResult, TrainSpec
from service.contract.training import TrainedResult
from service.reports import show
from service.reports.before_after_charts import calibration_chart
from service.reports.body import (
    ACCURACY,
    ARTIFACT_NOTE,
    LOSS_COLUMNS,
    SIZE_COLUMNS,
    Body,
    accuracy_note,
    class_names,
    class_table,
    distinct_names,
    kind_columns,
    model_cells,
    score_cells,
    seeds_note,
    split_note,
    started_from,
    table,
)
from service.reports.curves import training_chart


def train_body(spec: TrainSpec, result: TrainResult, labels: Sequence[str] | None) -> Body:
    """What was trained, how well it does, and how it got there."""
    (name,) = distinct_names([result.facts])
    return Body(
        subject=name,
        headline=(
            f"{name} reaches {show.percent(result.test.accuracy)} on "
            f"{show.count(result.test.samples)} test examples with "
            f"{show.count(result.facts.parameters)} parameters "
            f"({show.size(result.facts.size_bytes)}), after "
            f"{show.duration(result.training_s)} of training."
        ),
        highlights=(
            Highlight(label="Test accuracy", value=result.test.accuracy, format="percent"),
            Highlight(label="Parameters", value=result.facts.parameters, format="count"),
            Highlight(label="Size on disk", value=result.facts.size_bytes, format="bytes"),
            Highlight(label="Training time", value=result.training_s, format="seconds"),
        ),
        notes=(
            *result.warnings,
            *seeds_note(result),
            split_note(result.data),
            accuracy_note(name, result.test),
            ARTIFACT_NOTE,
        ),
        tables=(_summary(result, name), training_table(result), _per_class(result, labels)),
        charts=(training_chart(result), *calibration_chart([name], [result.test])),
        lineage=(
            *started_from(spec.model),
            LineageEntry(role="model", model=result.model, name=name),
        ),
    )


def _summary(result: TrainResult, name: str) -> Table:
    return table(
        ident="summary",
        title="The model",
        columns=(*SIZE_COLUMNS, ACCURACY, *LOSS_COLUMNS, *kind_columns([result.facts])),
        rows=({**model_cells(result.facts, name), **score_cells(result.test)},),
    )


def training_table(result: TrainedResult) -> Table:
    """How the training went, of any job that trains."""
    return table(
        ident="training",
        title="Training",
        columns=(
            Column(key="epochs", title="Epochs", format="count"),
            Column(key="best_epoch", title="Epoch kept", format="count"),
            Column(key="steps", title="Optimizer steps", format="count"),
            Column(key="training_s", title="Training time", format="seconds"),
            Column(key="images_per_s", title="Throughput", unit="examples/s", format="count"),
            Column(key="accuracy", title="Validation accuracy", format="percent"),
            Column(key="loss", title="Validation loss", unit="nats", format="number"),
        ),
        rows=(
            {
                "epochs": len(result.history),
                "best_epoch": result.best_epoch,
                "steps": result.steps,
                "training_s": result.training_s,
                "images_per_s": result.images_per_s,
                "accuracy": result.validation.accuracy,
                "loss": result.validation.loss,
            },
        ),
    )


def _per_class(result: TrainResult, labels: Sequence[str] | None) -> Table:
    scores = result.test.per_class_accuracy
    rows: list[dict[str, Cell]] = [
        {"class": name, "accuracy": score}
        for name, score in zip(class_names(len(scores), labels), scores, strict=True)
    ]
    columns = (Column(key="accuracy", title="Test accuracy", format="percent"),)
    return class_table("Accuracy by class", columns, rows)
