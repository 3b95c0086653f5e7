"""`modelpress jobs …`"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Literal

import typer

from service.cli import completion
from service.cli.connect import connect
from service.cli.console import AsJson, age, out, plain, show_json
from service.cli.spec_file import read_spec
from service.cli.tables import show_facts, show_table
from service.cli.watch import follow
from service.client import Event, Job
from service.contract.lifecycle import JobStatus
from service.contract.specs import JobKind
from service.reports.key_figures import shown_figure
from service.reports.show import duration

AsEvents = Annotated[
    bool, typer.Option("--json", help="Print each event as a line of JSON, for programs.")
]

app = typer.Typer(help="Submit, watch and steer jobs.", no_args_is_help=True)

JobId = Annotated[
    str,
    typer.Argument(metavar="JOB", help="Id of the job: job_…", autocompletion=completion.jobs),
]


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[
        str, typer.Option("--file", "-f", help="A spec in YAML or JSON; - reads standard input.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field and its value: training.epochs=3. May come again."),
    ] = None,
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
    spec = read_spec(file, changes or ())
    with connect(context) as client:
        if validate:
            show_json(client.validate(spec))
            return
        job = client.submit(spec, idempotency_key=idempotency_key)
        if wait and as_json:
            job.wait()
        elif wait:
            typer.echo(job.id)
            follow({_title(job): job}, out())
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
    created_after: Annotated[
        datetime | None, typer.Option(help="Only those made since then, UTC.")
    ] = None,
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
            created_after=created_after and created_after.replace(tzinfo=UTC),
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
    show_table(
        ("Job", "Kind", "Status", "Done", "Name", "Created"),
        rows,
        spare=("Done", "Kind"),
        empty="No such jobs. `modelpress jobs submit -f SPEC` queues one.",
    )


@app.command()
def show(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job."""
    with connect(context) as client:
        job = client.jobs.get(job_id)
    _show(job, as_json)


@app.command()
def watch(context: typer.Context, job_id: JobId, as_json: AsEvents = False) -> None:
    """Follow a job until it ends. Ctrl-C leaves the job running."""
    with connect(context) as client:
        job = client.jobs.get(job_id)
        if as_json:
            job.wait(on_event=print_event)
        else:
            follow({_title(job): job}, out())


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
def delete(context: typer.Context, job_id: JobId) -> None:
    """Delete an ended job and its artifacts."""
    with connect(context) as client:
        client.jobs.get(job_id).delete()


def _title(job: Job) -> str:
    """What stands before its bar: short, as the rest of the line needs the room."""
    return plain((job.data.name or job.kind)[:20])


def print_event(event: Event) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(asdict(event), ensure_ascii=False))


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
        "Labels": " ".join(f"{key}={value}" for key, value in data.labels.items()),
        "Waits for": "; ".join(data.waiting_for),
        "Progress": _progress(job) if data.progress and not job.is_done else "",
        "Attempt": f"{data.attempt} of {data.max_attempts}",
        "Created": age(data.created_at),
        "Queued for": duration(data.queue_seconds),
        "Ran for": duration(data.run_seconds),
        "Worker": data.worker or "",
        "Model": data.model or "",
        **{name: shown_figure(name, value) for name, value in data.metrics.items()},
        "Error": "" if data.error is None else f"{data.error.code}: {data.error.message}",
        "Hint": "" if data.error is None else data.error.hint or "",
        "Retry of": data.retry_of or "",
    }
    show_facts(facts)


def _progress(job: Job) -> str:
    progress = job.data.progress
    assert progress is not None
    return f"{progress.phase}, step {progress.step} of {progress.total} ({progress.fraction:.0%})"
