"""The page of the commands."""

from collections.abc import Iterator
from typing import Any

import typer

from service.cli.console import EXIT_CODES
from service.cli.main import app
from tools.reference.schema import cell, prose


def page() -> str:
    """Every command with its arguments and options."""
    command: Any = typer.main.get_command(app)
    parts = ["# Command line", prose(command.help), prose(EXIT_CODES)]
    parts += [_options(command), "`modelpress --install-completion` completes commands in a shell."]
    parts += _below(command, "modelpress")
    return "\n\n".join(part for part in parts if part) + "\n"


def _below(group: Any, path: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        whole = f"{path} {name}"
        yield f"## {whole}"
        yield prose(command.help)
        yield _options(command)
        if hasattr(command, "commands"):
            for inner in _below(command, whole):
                yield f"#{inner}" if inner.startswith("#") else inner


def _options(command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if not parameter.hidden]
    if not rows:
        return ""
    return "\n".join(["| argument or option | default | what |", "|---|---|---|", *rows])


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{each}`" for each in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    if parameter.required:
        shown = "required"
    elif default is None or isinstance(default, bool) or callable(default) or default == ():
        shown = ""
    else:
        shown = f"`{default}`"
    return f"| {name} | {shown} | {cell(parameter.help or '')} |"
