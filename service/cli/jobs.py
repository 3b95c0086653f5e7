"""`modelpress jobs …`"""

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, age, out, show_json, show_table
from service.cli.watch import follow
from service.client import Job
from service.contract.lifecycle import JobStatus
from service.contract.specs import JobKind
from service.reports.key_figures import shown_figure
from service.reports.show import duration

app = typer.Typer(help="Submit, watch and steer jobs.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job: job_…")]


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[
        str, typer.Option("--file", "-f", help="A spec in YAML or JSON; - reads standard input.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the job has ended.")] = False,
    validate: Annotated[
        bool, typer.Option("--validate", help="Only check the spec; queue nothing.")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again names the same job.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Queue a job."""
    spec = _read_spec(file)
    with connect(context) as client:
        if validate:
            show_json(client.validate(spec))
            return
        job = client.submit(spec, idempotency_key=idempotency_key)
        if wait and as_json:
            job.wait()
        elif wait:
            typer.echo(job.id)
            follow({job.id: job}, out())
        if as_json:
            show_json(job.data)
        elif not wait:
            typer.echo(job.id)


@app.command("list")
def list_jobs(
    context: typer.Context,
    status: Annotated[JobStatus | None, typer.Option(help="Only those in this state.")] = None,
    kind: Annotated[JobKind | None, typer.Option(help="Only this kind.")] = None,
    label: Annotated[str | None, typer.Option(help="Only those with it: key=value.")] = None,
    q: Annotated[str | None, typer.Option(help="Part of a name or label.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    key, equals, value = (label or "").partition("=")
    if label is not None and not equals:
        raise typer.BadParameter("write it as key=value", param_hint="--label")
    with connect(context) as client:
        found = client.jobs.list(
            status=status,
            kind=kind,
            label=(key, value) if label else None,
            q=q,
            page_size=min(limit, 100),
        )
        jobs = [job.data for job in islice(found, limit)]
    if as_json:
        show_json(jobs)
        return
    rows = (
        (
            job.id,
            job.kind,
            job.status,
            "" if job.progress is None else f"{job.progress.fraction:.0%}",
            job.name or "",
            age(job.created_at),
        )
        for job in jobs
    )
    show_table(("Job", "Kind", "Status", "Done", "Name", "Created"), rows)


@app.command()
def show(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job."""
    with connect(context) as client:
        job = client.jobs.get(job_id)
    _show(job, as_json)


@app.command()
def watch(context: typer.Context, job_id: JobId) -> None:
    """Follow a job until it ends."""
    with connect(context) as client:
        follow({job_id: client.jobs.get(job_id)}, out())


@app.command()
def cancel(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job."""
    with connect(context) as client:
        _show(client.jobs.get(job_id).cancel(), as_json)


@app.command()
def pause(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job at a checkpoint, to resume it later."""
    with connect(context) as client:
        _show(client.jobs.get(job_id).pause(), as_json)


@app.command()
def resume(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Queue a paused job again."""
    with connect(context) as client:
        _show(client.jobs.get(job_id).resume(), as_json)


@app.command()
def retry(
    context: typer.Context,
    job_id: JobId,
    start: Annotated[
        Literal["checkpoint", "start"], typer.Option("--from", help="Where to begin.")
    ] = "checkpoint",
    as_json: AsJson = False,
) -> None:
    """Queue a new job with the spec of one that failed or was cancelled."""
    with connect(context) as client:
        _show(client.jobs.get(job_id).retry(start), as_json)


@app.command()
def logs(context: typer.Context, job_id: JobId) -> None:
    """Print a job's log."""
    with connect(context) as client:
        typer.echo(client.jobs.get(job_id).logs(), nl=False)


@app.command()
def delete(context: typer.Context, job_id: JobId) -> None:
    """Delete an ended job and its artifacts."""
    with connect(context) as client:
        client.jobs.get(job_id).delete()


def _read_spec(file: str) -> dict[str, Any]:
    import yaml  # only this command needs it

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        spec = yaml.safe_load(text)  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"cannot read a spec from {file}: {error}") from error
    if not isinstance(spec, dict):
        raise typer.BadParameter(f"{file} must hold one spec, an object with `kind`")
    return spec


def _show(job: Job, as_json: bool) -> None:
    data = job.data
    if as_json:
        show_json(data)
        return
    facts = {
        "Job": data.id,
        "Kind": data.kind,
        "Status": data.status,
        "Name": data.name or "",
        "Waits for": "; ".join(data.waiting_for),
        "Progress": "" if data.progress is None else _progress(job),
        "Attempt": f"{data.attempt} of {data.max_attempts}",
        "Created": age(data.created_at),
        "Queued for": duration(data.queue_seconds),
        "Ran for": duration(data.run_seconds),
        "Worker": data.worker or "",
        "Model": data.model or "",
        **{name: shown_figure(name, value) for name, value in data.metrics.items()},
        "Error": "" if data.error is None else f"{data.error.code}: {data.error.message}",
        "Hint": "" if data.error is None else data.error.hint or "",
    }
    show_table(("", ""), ((name, text) for name, text in facts.items() if text))


def _progress(job: Job) -> str:
    progress = job.data.progress
    assert progress is not None
    return f"{progress.phase}, step {progress.step} of {progress.total} ({progress.fraction:.0%})"
