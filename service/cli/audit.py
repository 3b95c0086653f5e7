"""`modelpress audit`"""

from itertools import islice
from typing import Annotated

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, age, show_json
from service.cli.tables import show_table
from service.contract.audit import Outcome


def audit(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Of the key.")] = None,
    key: Annotated[str | None, typer.Option(help="Whose: key_…")] = None,
    action: Annotated[str | None, typer.Option(help="An operation, such as cancel_job.")] = None,
    target: Annotated[str | None, typer.Option(help="What it was done to, or made.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="How it ended.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entries to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Who did what, newest first; it takes a key with the scope admin."""
    with connect(context) as client:
        found = client.audit.list(
            project=project, key=key, action=action, target=target, outcome=outcome
        )
        entries = list(islice(found, limit))
    if as_json:
        show_json(entries)
        return
    rows = (
        (
            age(entry.at),
            entry.action,
            entry.target or "",
            entry.outcome if entry.times == 1 else f"{entry.outcome} ×{entry.times}",
            entry.key or "",
            entry.address or "",
            entry.request_id or "",
        )
        for entry in entries
    )
    show_table(
        ("When", "Action", "Target", "Outcome", "Key", "From", "Request"),
        rows,
        spare=("Request", "Key", "From"),
        empty="No entries.",
    )
