"""`modelpress mlflow …`: what is written to MLflow, for the operator."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from service.cli.console import AsJson
from service.cli.database import said_in_words

if TYPE_CHECKING:
    from service.store.exports import ExportStore

app = typer.Typer(
    help="Jobs on their way to MLflow. Works on the database of the MODELPRESS_* settings.",
    no_args_is_help=True,
)


@contextmanager
def _exports() -> Iterator["ExportStore"]:
    from service.config import Settings
    from service.store.exports import ExportStore
    from service.store.session import Database

    with (
        said_in_words(),
        closing(Database(Settings().database, pool_size=1)) as database,
        database.transaction() as session,
    ):
        yield ExportStore(session)


@app.command()
def status(as_json: AsJson = False) -> None:
    """How many jobs wait, and how many were given up."""
    with _exports() as exports:
        backlog = exports.backlog()
    if as_json:
        typer.echo(json.dumps(asdict(backlog)))
        return
    waits = f", the oldest for {backlog.oldest_s:.0f} s" if backlog.pending else ""
    typer.echo(f"{backlog.pending} wait{waits}; {backlog.failed} were given up")


@app.command()
def retry() -> None:
    """Try the jobs that were given up again, now and for another week."""
    with _exports() as exports:
        count = exports.try_failed_again()
    typer.echo(f"{count} are tried again")
