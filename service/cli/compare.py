"""`modelpress compare MODEL …`"""

from pathlib import Path
from typing import Annotated, Final, cast

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, show_json
from service.client import Comparison
from service.contract.comparisons import AXES, Axis
from service.contract.reports import Table
from service.reports.text import text_table

# What fits a wide terminal; the page has the rest.
_COLUMNS: Final = {
    "summary": ("name", "targets", "accuracy", "size_bytes", "parameters", "p50_", "front"),
    "against": ("name", "compression_ratio", "size_ratio", "accuracy_retention", "speedup_"),
    "targets": ("name", "target", "device", "asked", "reached", "outcome"),
}


def compare(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="mdl_…, or job_…: what it made or measured."),
    ],
    baseline: Annotated[
        str | None, typer.Option(help="What the others are held against; by default the first.")
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(help="A promise to judge by, such as min_speedup=2; may come again."),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(help=f"What accuracy is weighed against: {', '.join(AXES)}. May come again."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the page to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare models by what finished jobs have measured; nothing is run."""
    promises = dict(_promise(text) for text in targets or ())
    with connect(context) as client:
        made = client.comparisons.create(
            models,
            baseline=baseline,
            targets=promises or None,
            axes=cast("list[Axis]", axis) if axis else None,  # typer takes no literals in lists
            name=name,
        )
        if html is not None:
            html.write_bytes(made.report("html"))
    if as_json:
        show_json(made.data)
        return
    show_comparison(made)
    if html is not None:
        typer.echo(f"\n{html}")


def show_comparison(made: Comparison) -> None:
    """Print its headline and its tables, as far as a terminal has room."""
    typer.echo(f"{made.id}\n{made.data.headline}")
    for table in made.data.tables:
        if table.id in _COLUMNS:
            typer.echo()
            _show(table, _COLUMNS[table.id])


def _show(table: Table, keys: tuple[str, ...]) -> None:
    """The columns of these keys; one that ends in _ begins the keys of several devices."""
    columns = tuple(
        column
        for column in table.columns
        if any(column.key == key or (key[-1] == "_" and column.key.startswith(key)) for key in keys)
    )
    typer.echo(f"{table.title}\n\n{text_table(table.model_copy(update={'columns': columns}))}")


def _promise(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} must be a name and a number, such as min_speedup=2", param_hint="--targets"
        ) from error
