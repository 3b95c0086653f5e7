"""`modelpress login` and `modelpress logout`."""

import os
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from service.cli.connect import Target
from service.cli.console import complain, out
from service.cli.saved import Login, forget, save
from service.client import Client
from service.client.client import DEFAULT_URL
from service.client.http import is_loopback


def login(
    context: typer.Context,
    url: Annotated[str | None, typer.Argument(help="Where the service is.")] = None,
) -> None:
    """Check a URL and a key, and keep them for the commands to come.

    What is not said is asked for. The key can come through standard input: it then stands neither
    in the list of processes nor in the shell's history.
    """
    target: Target = context.obj
    url = url or target.url or _asked_url()
    key = target.key or _asked_key()
    try:
        client = Client(url, key)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="URL") from error
    with client:
        project = client.usage().project  # any route that asks for a key would do
        kept = save(Login(client.url, key))
    at = urlsplit(client.url)
    if at.scheme == "http" and not is_loopback(at.hostname or ""):
        complain("this URL is not https: the key goes over the network for all to read")
    out().print(f"Logged in to {client.url}, project {project}. Kept in {kept}.", markup=False)
    for name in ("MODELPRESS_URL", "MODELPRESS_KEY"):
        if os.environ.get(name):
            complain(f"{name} is set, and counts before this login; `unset {name}` to use it")


def logout() -> None:
    """Forget what `modelpress login` kept. The key stays valid until `modelpress keys revoke`."""
    out().print("Logged out." if forget() else "There was no login.")


def _asked_url() -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("say where the service is: modelpress login URL")
    return str(typer.prompt("URL", default=DEFAULT_URL))


def _asked_key() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Key (mp_…, not shown)", hide_input=True)).strip()
    key = sys.stdin.readline().strip()
    if not key:
        raise typer.BadParameter("standard input holds no key")
    return key
