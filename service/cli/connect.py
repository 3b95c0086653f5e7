"""Which service a command talks to."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from service.client import Client
from service.folder_lock import holder_of

DATA_DIR: Final = Path("modelpress-data")


@dataclass(frozen=True)
class Target:
    """What the options before the command said."""

    url: str | None
    key: str | None


def connect(context: typer.Context, url: str | None = None) -> Client:
    """A client for the options, else the environment, else the stack that `up` runs here."""
    target: Target = context.obj
    url = url or target.url or os.environ.get("MODELPRESS_URL")
    key = target.key or os.environ.get("MODELPRESS_KEY")
    here = holder_of(DATA_DIR)
    if here is not None and here.url is not None and url in (None, here.url):
        url = here.url
        key = key or _kept_key()
    try:
        return Client(url, key)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--url") from error


def _kept_key() -> str | None:
    try:
        return (DATA_DIR / "key").read_text(encoding="ascii").strip()
    except OSError:
        return None
