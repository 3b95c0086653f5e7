"""What commands print: tables for people, JSON for programs, errors with what to do next."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.table import Table

from service.reports import show

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3

EXIT_CODES = (
    "Exit codes: 0 done · 1 the job failed, or the service said no · 2 wrong usage · "
    "3 the service cannot be reached."
)


def out() -> Console:
    """Standard output, as it is now. Lines of a pipe are not folded."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        "Error:", message, style="red", markup=False
    )


def show_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print one value, or several as an array."""
    if isinstance(value, BaseModel):
        typer.echo(value.model_dump_json(indent=2))
    else:
        typer.echo(
            TypeAdapter(list[BaseModel])
            .dump_json(list(value), indent=2, serialize_as_any=True)
            .decode()
        )


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None
) -> None:
    """Print a table. Columns whose cells all look like numbers stand to the right."""
    rows = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(columns):
        numeric = bool(rows) and all(row[index][:1].isdigit() for row in rows if row[index])
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    out().print(table)


def age(moment: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if moment is None:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def size(count: int | None) -> str:
    """Bytes in decimal multiples; nothing where they are not known."""
    return "" if count is None else show.size(count)
