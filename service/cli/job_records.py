"""`modelpress jobs logs | events | metrics | checkpoints | artifacts`, and `modelpress report`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, age, plain, show_file, show_json, size, transfer
from service.cli.jobs import JobId, app
from service.cli.tables import show_table
from service.cli.watch import describe
from service.client.jobs import ReportFormat
from service.contract.wire import MetricSeries
from service.reports.show import significant


@app.command()
def logs(context: typer.Context, job_id: JobId) -> None:
    """Print a job's log."""
    with connect(context) as client:
        typer.echo(plain(client.jobs.get(job_id).logs()), nl=False)


@app.command()
def events(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """List what has happened to a job, oldest first."""
    with connect(context) as client:
        found = list(client.jobs.get(job_id).history())
    if as_json:
        show_json(found)
        return
    rows = ((str(one.id), _when(one.created_at), one.type, describe(one)) for one in found)
    show_table(("Event", "At (UTC)", "Type", "What"), rows, spare=("Type",))


@app.command()
def metrics(
    context: typer.Context,
    job_id: JobId,
    name: Annotated[
        list[str] | None, typer.Option(help="Only this series. May come again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List a job's series: how many points, first, last, and the extremes."""
    with connect(context) as client:
        found = client.jobs.get(job_id).metrics(name or ())
    if as_json:
        show_json(found)
        return
    show_table(
        ("Series", "Points", "First", "Last", "Least", "Greatest"),
        map(_series, found),
        spare=("First", "Least", "Greatest"),
        empty="No metrics yet.",
    )


@app.command()
def checkpoints(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """List the points from which a job can go on, newest first."""
    with connect(context) as client:
        found = client.jobs.get(job_id).checkpoints()
    if as_json:
        show_json(found)
        return
    rows = ((one.id, str(one.step), size(one.bytes), age(one.created_at)) for one in found)
    show_table(("Checkpoint", "Step", "Size", "Made"), rows, empty="No checkpoints.")


@app.command()
def artifacts(
    context: typer.Context,
    job_id: JobId,
    folder: Annotated[
        Path | None, typer.Option("--download", "-d", help="Fetch them all into this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the files that a job made."""
    with connect(context) as client:
        found = client.jobs.get(job_id).artifacts()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for one in found:
                with transfer(one.name) as on_bytes:
                    one.download(folder, on_bytes=on_bytes)
    if as_json:
        show_json([one.data for one in found])
        return
    rows = ((one.id, one.name, one.data.kind, size(one.data.bytes)) for one in found)
    show_table(("Artifact", "File", "Kind", "Size"), rows, spare=("Kind",), empty="No artifacts.")


@app.command()
def report(
    context: typer.Context,
    job_id: JobId,
    format_name: Annotated[ReportFormat, typer.Option("--format", help="What to fetch.")] = "html",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="By default JOB.html and the like.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Fetch the report of a job."""
    target = output or Path(f"{job_id}.{format_name}")
    with connect(context) as client:
        target.write_bytes(client.jobs.get(job_id).report(format_name))
    show_file(target, open_it)


def _series(series: MetricSeries) -> tuple[str, ...]:
    values = [point.value for point in series.points]
    if not values:
        return (series.name, "0", "", "", "", "")
    shown = (values[0], values[-1], min(values), max(values))
    return (series.name, str(series.count), *(significant(value, 4) for value in shown))


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
