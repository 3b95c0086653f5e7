"""`modelpress keys …`"""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from typing import Annotated

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, age, show_json
from service.cli.database import said_in_words
from service.cli.tables import show_table
from service.contract.wire import KeyCreate, Scope

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    project: Annotated[str, typer.Option(help="Whose things it opens.")] = "default",
    admin: Annotated[bool, typer.Option("--admin", help="It may manage keys too.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="It may only look.")] = False,
    expires_at: Annotated[
        datetime | None, typer.Option(help="When it ends, UTC; by default when revoked.")
    ] = None,
    by_service: Annotated[
        bool,
        typer.Option("--by-service", help="Ask the service; it takes a key of scope admin."),
    ] = False,
) -> None:
    """Make a key and print it, this once.

    Works on the database of the MODELPRESS_* settings, so that there can be a first key, unless
    --by-service is given.
    """
    from datetime import UTC

    from pydantic import ValidationError

    if admin and read_only:
        raise typer.BadParameter("a key cannot be both --admin and --read-only")
    scopes: tuple[Scope, ...] = ("read",) if read_only else ("read", "write")
    if admin:
        scopes = ("read", "write", "admin")
    try:
        asked = KeyCreate(
            name=name,
            project=project,
            scopes=scopes,
            expires_at=expires_at and expires_at.replace(tzinfo=UTC),
        )
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from error
    if by_service:
        with connect(context) as client:
            made = client.keys.create(**asked.model_dump())
        typer.echo(made.key)
    else:
        typer.echo(_store(asked))


def _most(scopes: Sequence[Scope]) -> str:
    """The widest of them, which a table has room for."""
    return next(scope for scope in ("admin", "write", "read") if scope in scopes)


def _store(asked: KeyCreate) -> str:
    from dataclasses import replace

    from service.auth import generate_key, new_key
    from service.config import Settings
    from service.store.audit import AuditStore, NewEntry
    from service.store.keys import KeyStore
    from service.store.migrate import upgrade
    from service.store.session import Database

    key = generate_key()
    row = replace(
        new_key(key, asked.project, asked.name, asked.scopes), expires_at=asked.expires_at
    )
    url = Settings().database
    with said_in_words():
        upgrade(url)  # the first key may come before the first start
        with closing(Database(url, pool_size=1)) as database, database.transaction() as session:
            KeyStore(session).create(row)
            # From a shell on the machine: there is no key, request or address to name
            AuditStore(session).add(NewEntry("create_key", "done", target=row.id))
    return key


@app.command("list")
def list_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """List keys, without their secrets."""
    with connect(context) as client:
        keys = list(client.keys.list())
    if as_json:
        show_json(keys)
        return
    rows = (
        (key.id, key.name, key.project, _most(key.scopes), f"{key.hint}…", age(key.last_used_at))
        for key in keys
    )
    columns = ("Key", "Name", "Project", "May", "Begins", "Last used")
    show_table(columns, rows, spare=("Begins", "Last used"))


@app.command()
def rotate(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key: key_…")],
    grace_s: Annotated[
        int, typer.Option(min=0, help="How long the old key still opens, in seconds.")
    ] = 3600,
    as_json: AsJson = False,
) -> None:
    """Replace a key: print a new one, this once, and end the old one when the grace is over."""
    with connect(context) as client:
        made = client.keys.rotate(key_id, grace_s=grace_s)
    if as_json:
        show_json(made)
    else:
        typer.echo(made.key)


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key: key_…")],
) -> None:
    """End a key at once."""
    with connect(context) as client:
        client.keys.revoke(key_id)
