"""A report: values first. HTML, Markdown and figures are drawn from it and from nothing else."""

from typing import Any, Literal

from pydantic import Field

from service.contract.base import Contract, JobId, ModelRef, Time
from service.contract.specs import JobKind, JobSpec
from service.contract.training import DataFacts, Environment

ReportKind = Literal["train", "distill", "prune", "benchmark", "export", "quantize", "plan"]
Format = Literal[
    "text",
    "count",
    "number",
    "percent",
    "points",
    "bytes",
    "ratio",
    "milliseconds",
    "seconds",
    "scientific",
]


class Interval(Contract):
    """An estimate and the 95 % interval around it, in the unit of its column."""

    value: float = Field(description="The estimate.")
    low: float = Field(description="Lower end.")
    high: float = Field(description="Upper end.")


class Quantity(Contract):
    """A number with a format of its own, for a column whose rows are of different kinds."""

    value: int | float | Interval = Field(description="The number.")
    format: Format = Field(description="How to show it.")
    unit: str | None = Field(
        None, description="What stands behind it.", examples=["ms", "points", "fewer"]
    )


Cell = str | int | float | Interval | Quantity | None


class Column(Contract):
    """A column of a table."""

    key: str = Field(description="The key of its cells in every row.", examples=["p50_ms"])
    title: str = Field(description="Its heading.", examples=["p50"])
    unit: str | None = Field(
        None, description="Unit of the numbers. None: the format shows one, or there is none."
    )
    format: Format = Field(
        "text", description="How to show a cell; shares are kept as fractions, shown as percent."
    )


class Table(Contract):
    """A table. A cell without a value is null."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="Unique within the report.")
    title: str = Field(description="Its caption.")
    columns: tuple[Column, ...] = Field(min_length=1, description="From left to right.")
    rows: tuple[dict[str, Cell], ...] = Field(description="Cells by column key.")
    missing: str = Field("–", description="What is shown in the place of a null.")


class Chart(Contract):
    """A figure with its data in it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="Unique within the report.")
    title: str = Field(description="What it shows.")
    description: str = Field(description="The same in words and numbers, for who cannot see it.")
    spec: dict[str, Any] = Field(description="Vega-Lite 6 specification.")


class Highlight(Contract):
    """A figure to see first."""

    label: str = Field(description="What it is.", examples=["Accuracy retention"])
    value: Cell = Field(description="The figure.")
    format: Format = Field(description="How to show it.")


class Document(Contract):
    """What HTML, Markdown and pictures are drawn from: words, tables and figures."""

    title: str = Field(description="Its name.")
    headline: str = Field(description="What was gained, in numbers.")
    highlights: tuple[Highlight, ...] = Field(description="The figures to see first.")
    notes: tuple[str, ...] = Field(description="What a careful reader needs to know.")
    tables: tuple[Table, ...] = Field(description="The figures.")
    charts: tuple[Chart, ...] = Field(description="The figures, drawn.")


class LineageEntry(Contract):
    """A model that the job read or made."""

    role: str = Field(description="`teacher`, `student`, `baseline`, `started from` …")
    model: ModelRef = Field(description="The model, or the job that made it.")
    name: str | None = Field(description="What it is called, where that is known.")


class Provenance(Contract):
    """Everything needed to ask for the same job again."""

    spec: JobSpec = Field(description="The spec with every default filled in, ready to POST.")
    seed: int = Field(description="The seed used; of several, that of the model that was kept.")
    seeds: tuple[int, ...] = Field((), description="Every seed that was asked for.")
    data: DataFacts | None = Field(description="The data. Null for a plan.")
    environment: Environment | None = Field(description="Where it ran. Null for a plan.")
    lineage: tuple[LineageEntry, ...] = Field(description="The models involved.")
    reproduce: str = Field(
        description="A shell command that submits the spec; it reads MODELPRESS_URL and "
        "MODELPRESS_KEY."
    )


class Report(Document):
    """What a job did and what was gained."""

    object: Literal["report"] = Field("report", description="Always `report`.")
    kind: ReportKind = Field(description="The kind of result.")
    of: JobKind = Field(description="The kind of job.")
    job: JobId = Field(description="The job.")
    created_at: Time = Field(description="When the job was accepted.")
    finished_at: Time = Field(description="When its figures were complete.")
    provenance: Provenance = Field(description="How to get the same again.")
