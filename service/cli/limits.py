"""`modelpress limits …` and `modelpress usage`"""

from typing import Annotated

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, show_json, size
from service.cli.tables import show_table
from service.contract.limits import ProjectLimits, ProjectLimitsRead, Quota

app = typer.Typer(help="What a project may have.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(help="Name of the project.")]
Most = Annotated[int | None, typer.Option(min=0, help="By default as the settings say.")]

_WORDS = {
    "queued_jobs": "Jobs that wait",
    "running_jobs": "Jobs that run",
    "stored_bytes": "Bytes",
}


@app.command()
def show(context: typer.Context, project: Project, as_json: AsJson = False) -> None:
    """Show the limits of a project."""
    with connect(context) as client:
        _print(client.limits.get(project), as_json)


@app.command("set")
def set_limits(
    context: typer.Context,
    project: Project,
    queued_jobs: Most = None,
    running_jobs: Most = None,
    stored_bytes: Most = None,
    as_json: AsJson = False,
) -> None:
    """Set the limits of a project in the place of those it had."""
    with connect(context) as client:
        limits = client.limits.set(
            project,
            queued_jobs=queued_jobs,
            running_jobs=running_jobs,
            stored_bytes=stored_bytes,
        )
    _print(limits, as_json)


def usage(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what the key's project has, and what it may have."""
    with connect(context) as client:
        seen = client.usage()
    if as_json:
        show_json(seen)
        return
    rows = []
    for name, words in _WORDS.items():
        quota: Quota = getattr(seen, name)
        rows.append((words, _amount(name, quota.used), _amount(name, quota.allowed)))
    show_table(("", "Used", "Allowed"), rows, title=f"Project {seen.project}")


def _print(limits: ProjectLimitsRead, as_json: bool) -> None:
    if as_json:
        show_json(limits)
        return
    rows = [
        (words, _own(name, limits.own), _amount(name, getattr(limits.effective, name)))
        for name, words in _WORDS.items()
    ]
    show_table(("", "Of its own", "Holds"), rows, title=f"Project {limits.project}")


def _own(name: str, limits: ProjectLimits) -> str:
    most: int | None = getattr(limits, name)
    return "" if most is None else _amount(name, most)


def _amount(name: str, count: int | None) -> str:
    if count is None:
        return "no limit"
    return size(count) if name == "stored_bytes" else str(count)
