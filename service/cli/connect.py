"""Which service a command talks to."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from service.cli.saved import Login, saved
from service.client import Client, Retry
from service.client.client import DEFAULT_URL
from service.folder_lock import holder_of

DATA_DIR: Final = Path("modelpress-data")


@dataclass(frozen=True)
class Target:
    """What the options before the command said."""

    url: str | None
    key: str | None


def connect(context: typer.Context, url: str | None = None) -> Client:
    """A client for the options, else the environment, else the stack that `up` runs here, else
    what `login` kept."""
    target: Target = context.obj
    try:
        return client_for(url or target.url, target.key)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--url") from error


def client_for(
    url: str | None, key: str | None, *, timeout: float = 30.0, tries: int = 4
) -> Client:
    """A client for what was said. A key that was kept goes to no other service than its own."""
    url = url or os.environ.get("MODELPRESS_URL")
    key = key or os.environ.get("MODELPRESS_KEY")
    for kept in (_here, saved):
        login = None if url and key else kept()
        if login is not None and (url is None or url.rstrip("/") == login.url):
            url, key = login.url, key or login.key or None
    return Client(url or DEFAULT_URL, key, timeout=timeout, retry=Retry(tries=tries))


def _here() -> Login | None:
    """The stack that runs in the folder; its key is empty where it cannot be read."""
    holder = holder_of(DATA_DIR)
    if holder is None or holder.url is None:
        return None
    try:
        return Login(holder.url, (DATA_DIR / "key").read_text(encoding="ascii").strip())
    except OSError:
        return Login(holder.url, "")
