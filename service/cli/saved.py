"""What `modelpress login` keeps: where the service is, and the key."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from service.client import ClientError


class BadLoginFile(ClientError):
    """The file is there and cannot be understood."""


@dataclass(frozen=True)
class Login:
    """A service and the key for it."""

    url: str
    key: str


def login_file() -> Path:
    """In the platform's folder for settings: $XDG_CONFIG_HOME, or ~/.config, on Linux."""
    return Path(typer.get_app_dir("modelpress")) / "login.json"


def saved() -> Login | None:
    """None before a login. Raises `BadLoginFile`."""
    try:
        text = login_file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        return Login(url=str(found["url"]), key=str(found["key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadLoginFile(
            f"{login_file()} holds no login; `modelpress logout` removes it"
        ) from error


def save(login: Login) -> Path:
    """Keep it in the place of an earlier one, readable by this user only."""
    target = login_file()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A temporary file is made with mode 0600, before there is a key in it.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".login-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(login), file)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def forget() -> bool:
    """Remove it. False: there was none."""
    try:
        login_file().unlink()
    except FileNotFoundError:
        return False
    return True
