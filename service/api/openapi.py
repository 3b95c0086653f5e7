"""The OpenAPI document, made to say what is sent: FastAPI gives every model as plain JSON."""

from typing import Any, Final

from fastapi import FastAPI

PROBLEM: Final = "application/problem+json"
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
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it


def _mend(content: dict[str, Any]) -> None:
    """A schema that stands under JSON is that of the problem beside it. A second time nothing
    is left to mend."""
    if PROBLEM in content and "application/json" in content:
        content[PROBLEM] = content.pop("application/json")
