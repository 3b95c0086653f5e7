"""A spec from a file, and what the command line changes in it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


def read_spec(file: str, changes: Sequence[str]) -> dict[str, Any]:
    """A spec in YAML or JSON, of standard input for `-`, with the changes (`a.b=value`) put in."""
    import yaml  # only this command needs it

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        spec = yaml.safe_load(text)  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"cannot read a spec from {file}: {error}") from error
    if not isinstance(spec, dict):
        raise typer.BadParameter(f"{file} must hold one spec, an object with `kind`")
    for change in changes:
        name, equals, value = change.partition("=")
        if not (name and equals):
            raise typer.BadParameter(
                f"{change!r} must be a field and its value, such as training.epochs=3",
                param_hint="--set",
            )
        try:
            _put(spec, name.split("."), yaml.safe_load(value))
        except (KeyError, IndexError, ValueError, TypeError, yaml.YAMLError) as error:
            raise typer.BadParameter(
                f"there is no place for {name} in the spec", param_hint="--set"
            ) from error
    return spec


def _put(spec: Any, path: Sequence[str], value: object) -> None:
    """Set one field; objects on the way are made. In a list, a number names a place there is."""
    *way, last = path
    for step in way:
        spec = spec[int(step)] if isinstance(spec, list) else spec.setdefault(step, {})
    if isinstance(spec, list):
        spec[int(last)] = value
    elif isinstance(spec, dict):
        spec[last] = value
    else:
        raise TypeError(type(spec).__name__)
