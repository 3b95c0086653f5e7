"""The pages of the HTTP interface: every operation, and every object that goes in or comes out."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from service.app import create_app
from service.config import Settings
from tools.reference.schema import cell, limits_of, prose, section, type_of

_SCHEMAS = "schemas.md"


@cache
def document() -> Mapping[str, Any]:
    """The OpenAPI document, as a service that was just installed gives it."""
    with tempfile.TemporaryDirectory() as folder:
        # Not entered: nothing is started and the database is not opened.
        client = TestClient(create_app(Settings(data_dir=Path(folder))))
        loaded: Mapping[str, Any] = client.get("/openapi.json").raise_for_status().json()
    return loaded


def pages(openapi: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and text of the two pages."""
    yield "reference/http.md", _operations(openapi)
    components = openapi["components"]["schemas"]
    parts = [section(name, components[name]) for name in sorted(components)]
    head = "# Objects\n\nWhat goes in and comes out of [the HTTP interface](http.md), by name."
    yield f"reference/{_SCHEMAS}", "\n\n".join([head, *parts]) + "\n"


def _operations(openapi: Mapping[str, Any]) -> str:
    by_tag: defaultdict[str, list[str]] = defaultdict(list)
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            if method != "head":  # said beside GET
                tag = operation.get("tags", ["other"])[0]
                by_tag[tag].append(_operation(method, path, operation, "head" in methods))
    parts = [
        "# HTTP interface",
        "JSON in and out, times in UTC, errors as problems ([errors](../errors.md)). "
        "`Authorization: Bearer mp_…` on every route that says so. A running service has the same "
        "at `/docs`, and the document itself at `/openapi.json`.",
    ]
    for tag, operations in by_tag.items():
        parts += [f"## {tag.capitalize()}", *operations]
    return "\n\n".join(parts) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any], has_head: bool) -> str:
    name = "GET, HEAD" if has_head and method == "get" else method.upper()
    parts = [f"### {name} {path}", f"**{operation['summary']}.**"]
    if operation.get("description"):
        parts.append(prose(operation["description"]))
    if not operation.get("security"):
        parts.append("Asks for no key.")
    if operation.get("parameters"):
        rows = [_parameter(each) for each in operation["parameters"]]
        head = "| parameter | in | type | limits | what |\n|---|---|---|---|---|"
        parts.append("\n".join([head, *rows]))
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"Body: `{media}`, {_linked(body.get('schema', {}))}.")
    rows = [_response(status, each) for status, each in sorted(operation["responses"].items())]
    parts.append("\n".join(["| status | what |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    cells = [parameter["in"] + (", required" if parameter.get("required") else "")]
    cells += [_linked(schema), limits_of(schema), cell(parameter.get("description", ""))]
    return f"| `{parameter['name']}` | {' | '.join(cells)} |"


def _response(status: str, response: Mapping[str, Any]) -> str:
    what = cell(response["description"])
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    if schema and int(status) < 400:
        what = f"{what.removesuffix('.')}: {_linked(schema)}"
    return f"| {status} | {what} |"


def _linked(schema: Mapping[str, Any]) -> str:
    return type_of(schema).replace("](#", f"]({_SCHEMAS}#")
