"""The page of `MODELPRESS_*` settings."""

from typing import Any

from service.config import Settings
from tools.reference.schema import cell, limits_of, literal, type_of


def page() -> str:
    """Every setting, with its bounds."""
    schema = Settings.model_json_schema()
    rows = [_row(name, value) for name, value in schema["properties"].items()]
    head = "| variable | type | default | limits | what |\n|---|---|---|---|---|"
    return (
        "\n\n".join(
            [
                "# Settings",
                "Environment variables of the API and of workers. [Deploy](../how-to/deploy.md) "
                "says which of the two needs which. Without a default a setting is unset.",
                "\n".join([head, *rows]),
            ]
        )
        + "\n"
    )


def _row(name: str, schema: dict[str, Any]) -> str:
    default = schema.get("default")
    shown = "" if default is None else literal(default).replace('"', "")
    kind = type_of(schema).removesuffix(" or null")
    cells = (limits_of(schema), cell(schema["description"]))
    return f"| `MODELPRESS_{name.upper()}` | {kind} | {shown} | {' | '.join(cells)} |"
