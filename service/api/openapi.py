"""The OpenAPI document, made to say what is sent: FastAPI gives every model as plain JSON."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from service.api.deps import WORDS
from service.api.links import add_links

PROBLEM: Final = "application/problem+json"
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
BYTES: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
"""What a response with bytes holds; generators of clients make a file of it."""


def install(app: FastAPI) -> None:
    """Let the application's document name the media type of its problems."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()  # the same object each time
        for operations in document["paths"].values():
            for operation in operations.values():
                for response in operation["responses"].values():
                    _mend(response.get("content", {}))
                _add_refusals(operation)
                for parameter in operation.get("parameters", ()):
                    _leave_out_null(parameter)
                    if parameter["in"] != "header":
                        _leave_out_nul(parameter["schema"])
        _name_keys(document)
        _need_tags(document)
        add_links(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it


def _add_refusals(operation: dict[str, Any]) -> None:
    """What is said before a request has come to its route: see `service.api.middleware`."""
    takes_json = "application/json" in operation.get("requestBody", {}).get("content", {})
    for status in (400, 413, 414, 415, 431) if takes_json else (400, 414, 431):
        operation["responses"].setdefault(
            str(status), {"description": WORDS[status], "content": {PROBLEM: {"schema": _PROBLEM}}}
        )


def _leave_out_nul(schema: dict[str, Any]) -> None:
    """No text in an address has the character NUL, which databases do not take."""
    if schema.get("type") == "array":
        _leave_out_nul(schema["items"])
    elif schema.get("type") == "string" and not {"pattern", "enum", "const", "format"} & set(
        schema
    ):
        schema["pattern"] = r"^[^\x00]*$"


def _name_keys(document: Any) -> None:
    """Of a mapping whose keys have a pattern, pydantic says nothing of other keys: they would be
    allowed. Said like this, generators of clients know the type of the values too."""
    for node in _objects(document):
        if "patternProperties" in node:
            [(pattern, values)] = node.pop("patternProperties").items()
            node |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}


def _need_tags(document: Any) -> None:
    """What tells the members of a union apart has a default in each, and is needed all the same."""
    schemas = document["components"]["schemas"]
    for node in _objects(document):
        discriminator = node.get("discriminator")
        if isinstance(discriminator, dict) and "mapping" in discriminator:
            tag = discriminator["propertyName"]
            for reference in discriminator["mapping"].values():
                member = schemas[reference.rpartition("/")[2]]
                member["required"] = sorted({*member.get("required", ()), tag})


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document, each before what is in it, which may be changed meanwhile."""
    if isinstance(node, list):
        for each in node:
            yield from _objects(each)
    elif isinstance(node, dict):
        yield node
        for each in list(node.values()):
            yield from _objects(each)


def _leave_out_null(parameter: dict[str, Any]) -> None:
    """A parameter is there or left out: no text in an address or a header is null."""
    kinds = [kind for kind in parameter["schema"].get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del parameter["schema"]["anyOf"]
        parameter["schema"] |= kinds[0]


def _mend(content: dict[str, Any]) -> None:
    """A schema that stands under JSON is that of the problem beside it. A second time nothing
    is left to mend."""
    if PROBLEM in content and "application/json" in content:
        content[PROBLEM] = content.pop("application/json")
