"""`modelpress keys …`"""

from contextlib import closing
from datetime import datetime
from typing import Annotated

import typer

from service.cli.connect import connect
from service.cli.console import AsJson, age, show_json, show_table
from service.cli.database import said_in_words
from service.contract.wire import KeyCreate, Scope

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    project: Annotated[str, typer.Option(help="Whose things it opens.")] = "default",
    admin: Annotated[bool, typer.Option("--admin", help="It may manage keys too.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="It may only look.")] = False,
    expires_at: Annotated[
        datetime | None, typer.Option(help="When it ends, UTC; by default when revoked.")
    ] = None,
) -> None:
    """Make a key and print it, this once.

    Works on the database of the MODELPRESS_* settings, so that there can be a first key.
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
    typer.echo(_store(asked))


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
        (key.id, key.name, key.project, " ".join(key.scopes), f"{key.hint}…", age(key.last_used_at))
        for key in keys
    )
    show_table(("Key", "Name", "Project", "Scopes", "Begins", "Last used"), rows)


@app.command()
def rotate(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key: key_…")],
    grace_s: Annotated[
        int, typer.Option(min=0, help="How long the old key still opens, in seconds.")
    ] = 3600,
) -> None:
    """Replace a key: print a new one, this once, and end the old one when the grace is over."""
    with connect(context) as client:
        typer.echo(client.keys.rotate(key_id, grace_s=grace_s).key)


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key: key_…")],
) -> None:
    """End a key at once."""
    with connect(context) as client:
        client.keys.revoke(key_id)
