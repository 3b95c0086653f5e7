"""What the builder of one kind makes of a result, and what several of them say alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

from service.contract.benchmark import PairedSpeedup
from service.contract.reports import (
    Cell,
    Chart,
    Column,
    Highlight,
    Interval,
    LineageEntry,
    Quantity,
    Table,
)
from service.contract.training import DataFacts, Evaluation, ModelFacts, TrainedResult
from service.reports import show

_Z: Final = 1.959964  # two-sided 95 % point of the normal distribution
_MOST_CLASSES: Final = 50


@dataclass(frozen=True)
class Body:
    """The parts of a report that depend on its kind."""

    subject: str
    headline: str
    highlights: tuple[Highlight, ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    lineage: tuple[LineageEntry, ...]


SIZE_COLUMNS: Final = (
    Column(key="name", title="Model"),
    Column(key="parameters", title="Parameters", format="count"),
    Column(key="size_bytes", title="Size on disk", format="bytes"),
    Column(key="macs", title="MACs per input", format="count"),
)
ACCURACY: Final = Column(key="accuracy", title="Test accuracy", format="percent")
RETENTION: Final = Column(key="accuracy_retention", title="Retention", format="percent")
COMPRESSION: Final = Column(key="compression_ratio", title="Compression", format="ratio")
LOSS_COLUMNS: Final = (
    Column(key="loss", title="Test loss", unit="nats", format="number"),
    Column(key="calibration_error", title="Calibration error", format="percent"),
)
_NONZERO: Final = Column(key="nonzero_parameters", title="Non-zero", format="count")
_ARCHITECTURE: Final = Column(key="architecture", title="Architecture")


def model_cells(facts: ModelFacts, name: str) -> dict[str, Cell]:
    """The cells of `SIZE_COLUMNS` and `kind_columns`."""
    return {
        "name": name,
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "nonzero_parameters": facts.nonzero_parameters,
        "size_bytes": facts.size_bytes,
        "macs": facts.macs,
    }


def score_cells(test: Evaluation) -> dict[str, Cell]:
    """The cells of `ACCURACY` and `LOSS_COLUMNS`."""
    return {
        "accuracy": test.accuracy,
        "loss": test.loss,
        "calibration_error": test.calibration_error,
    }


def kind_columns(models: Iterable[ModelFacts]) -> tuple[Column, ...]:
    """Architecture, and the count of non-zeros where it says anything new."""
    sparse = any(facts.nonzero_parameters != facts.parameters for facts in models)
    return (_NONZERO, _ARCHITECTURE) if sparse else (_ARCHITECTURE,)


def distinct_names(models: Sequence[ModelFacts]) -> list[str]:
    """A name for each model; those that share one get the end of their id."""
    names = [" ".join(facts.name.split()) or facts.model for facts in models]
    return [
        f"{name} ({facts.model[-6:]})" if names.count(name) > 1 else name
        for name, facts in zip(names, models, strict=True)
    ]


def in_ms(value: float) -> Quantity:
    """Milliseconds with their unit, for where no column has it."""
    return Quantity(value=value, format="milliseconds", unit="ms")


def accuracy_interval(test: Evaluation) -> Interval:
    """The accuracy with its 95 % score interval (Wilson 1927): what the number of examples allows
    to say of the accuracy on all data like these."""
    n, share, z2 = test.samples, test.accuracy, _Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def accuracy_note(name: str, test: Evaluation) -> str:
    """How much of an accuracy is chance."""
    interval = accuracy_interval(test)
    return (
        f"With {show.count(test.samples)} test examples, the accuracy of {name} "
        f"({show.percent(test.accuracy)}) has a 95 % interval from "
        f"{show.percent(interval.low)} to {show.percent(interval.high)}: "
        "smaller differences may be chance."
    )


def split_note(data: DataFacts) -> str:
    """Which split did what in a job that trains."""
    return (
        f"The {show.count(data.validation)} validation examples chose the epoch that was kept; "
        f"the {show.count(data.test)} test examples were read once, for this report."
    )


def seeds_note(result: TrainedResult) -> tuple[str, ...]:
    """How much the seed matters, where there were several."""
    seeds = result.seeds
    if seeds is None:
        return ()
    return (
        f"Over {seeds.n} seeds test accuracy is {show.percent(seeds.mean)} on average, with a "
        f"standard deviation of {100 * seeds.std:.2f} points; the model that was kept is the best "
        f"on validation, seed {result.seed}.",
    )


def started_from(model: object) -> tuple[LineageEntry, ...]:
    """The entry of the model that training went on from; none if it began afresh."""
    if isinstance(model, str):
        return (LineageEntry(role="started from", model=model, name=None),)
    return ()


ARTIFACT_NOTE: Final = "Sizes and scores were measured on the saved file, after loading it again."


def table(
    ident: str, title: str, columns: Sequence[Column], rows: Iterable[Mapping[str, Cell]]
) -> Table:
    """A table whose rows have a cell for every column, null where there is no value, and no
    others."""
    keys = [column.key for column in columns]
    cells = tuple({key: row.get(key) for key in keys} for row in rows)
    return Table(id=ident, title=title, columns=tuple(columns), rows=cells)


def class_names(count: int, labels: Sequence[str] | None) -> list[str]:
    """The names of the classes; their indices where no names are known."""
    return list(labels) if labels and len(labels) == count else [str(i) for i in range(count)]


def class_table(title: str, columns: Sequence[Column], rows: list[dict[str, Cell]]) -> Table:
    """A table with one row a class. Of many classes it keeps those whose last column is lowest."""
    if len(rows) > _MOST_CLASSES:
        last = columns[-1].key
        rows = sorted(rows, key=lambda row: _value(row[last]))[:_MOST_CLASSES]
        title = f"{title} (the {_MOST_CLASSES} lowest)"
    head = Column(key="class", title="Class")
    return table("per-class", title, (head, *columns), rows)


def _value(cell: Cell) -> float:
    """For sorting: what has no value comes last."""
    return cell if isinstance(cell, int | float) else inf


def speedup_highlight(latencies: Sequence[PairedSpeedup]) -> tuple[Highlight, ...]:
    """That of the first batch size; none where nothing was timed."""
    return tuple(
        Highlight(label=f"Speed-up (batch {one.batch_size})", value=one.speedup, format="ratio")
        for one in latencies[:1]
    )
