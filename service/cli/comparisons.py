"""`modelpress comparisons …`: those that were made; `modelpress compare` makes one."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from service.cli.compare import show_comparison
from service.cli.connect import connect
from service.cli.console import AsJson, age, show_file, show_json
from service.cli.resources import Limit
from service.cli.tables import show_table
from service.client.jobs import ReportFormat

app = typer.Typer(help="List, show and delete comparisons.", no_args_is_help=True)

ComparisonId = Annotated[str, typer.Argument(metavar="COMPARISON", help="Id: cmp_…")]


@app.command("list")
def list_comparisons(context: typer.Context, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List comparisons, newest first."""
    with connect(context) as client:
        found = list(islice(client.comparisons.list(), limit))
    if as_json:
        show_json(found)
        return
    rows = ((one.id, str(len(one.request.models)), one.title, age(one.created_at)) for one in found)
    show_table(
        ("Comparison", "Models", "Name", "Created"),
        rows,
        spare=("Models",),
        empty="No comparisons. `modelpress compare MODEL MODEL` makes one.",
    )


@app.command()
def show(context: typer.Context, comparison: ComparisonId, as_json: AsJson = False) -> None:
    """Show a comparison."""
    with connect(context) as client:
        found = client.comparisons.get(comparison)
    if as_json:
        show_json(found.data)
    else:
        show_comparison(found)


@app.command()
def report(
    context: typer.Context,
    comparison: ComparisonId,
    format_name: Annotated[ReportFormat, typer.Option("--format", help="What to fetch.")] = "html",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="By default ID.html and the like.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Fetch the page of a comparison."""
    target = output or Path(f"{comparison}.{format_name}")
    with connect(context) as client:
        target.write_bytes(client.comparisons.get(comparison).report(format_name))
    show_file(target, open_it)


@app.command()
def delete(context: typer.Context, comparison: ComparisonId) -> None:
    """Forget a comparison. The models and jobs that it names stay."""
    with connect(context) as client:
        client.comparisons.delete(comparison)
