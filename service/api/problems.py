"""The one place that turns exceptions into problem+json (RFC 9457)."""

import logging
from collections.abc import Callable, Sequence, Set
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from service import audit
from service.blobs import BlobNotFound, StorageFull, StorageUnavailable
from service.contract.wire import Problem, ProblemItem
from service.errors import (
    Clash,
    Gone,
    Impossible,
    Invalid,
    Missing,
    NoSpace,
    ServiceError,
    Unavailable,
    UnknownArchitecture,
)
from service.store.errors import Conflict, DatabaseUnavailable, InvalidMove, NotFound

log = logging.getLogger(__name__)

DrawError = Callable[[Request, ServiceError], Response | None]
"""Draws an error of a page; None where a program asked. Kept in `app.state.draw_error`."""

TYPE_BASE: Final = "https://modelpress.dev/problems/"
MEDIA_TYPE: Final = "application/problem+json"
MAX_ERRORS: Final = 50

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_HTTP_CODES: Final = {404: "no_such_route", 405: "method_not_allowed", 400: "bad_request"}
_NAMES: Final = frozenset({"unknown_architecture", "unknown_option"})
_TITLES: Final = {404: "Not found", 405: "Method not allowed", 400: "Bad request"}


def install(app: FastAPI) -> None:
    """Handle everything that a route may raise."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    for kind in (NotFound, InvalidMove, Conflict, DatabaseUnavailable):
        app.add_exception_handler(kind, _translated)
    for blob_error in (BlobNotFound, StorageFull, StorageUnavailable):
        app.add_exception_handler(blob_error, _translated)
    app.add_exception_handler(Exception, _unexpected)


def translate(error: Exception) -> ServiceError | None:
    """Errors of the seams in the words of the interface."""
    match error:
        case ServiceError():
            return error
        case NotFound():
            return Missing(f"no {error.kind} {error.id}")
        case InvalidMove():
            return Clash(str(error), code="invalid_state")
        case Conflict():
            return Clash(error.detail)
        case BlobNotFound():
            return Gone("its bytes are gone")
        case StorageFull():
            return NoSpace("the blob store is full")
        case StorageUnavailable():
            return Unavailable("the blob store does not answer")
        case DatabaseUnavailable():
            return Unavailable("the database does not answer")
        case _:
            return None


def problem_response(
    request_id: str,
    path: str,
    error: ServiceError,
) -> Response:
    """An error as a response."""
    problem = Problem(
        type=TYPE_BASE + error.code.replace("_", "-"),
        title=error.title,
        status=error.status,
        detail=error.detail,
        instance=path,
        code=error.code,
        request_id=request_id,
        errors=error.errors,
    )
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=error.status,
        headers=error.headers,
        media_type=MEDIA_TYPE,
    )


def request_id_of(request: Request) -> str:
    """Set by the middleware; a request that never got there has none."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _respond(request: Request, error: ServiceError) -> Response:
    operation = audit.current()
    if operation is not None:
        operation.code = error.code
    draw: DrawError | None = getattr(request.app.state, "draw_error", None)
    drawn = draw and draw(request, error)
    return drawn or problem_response(request_id_of(request), request.url.path, error)


def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _respond(request, error)


def _translated(request: Request, error: Exception) -> Response:
    translated = translate(error)
    assert translated is not None
    return _respond(request, translated)


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    items = [_item(entry, error.body) for entry in error.errors()[:MAX_ERRORS]]
    kinds = {entry["type"] for entry in error.errors()}
    if "json_invalid" in kinds:
        detail = "the body is not JSON"
    else:
        detail = f"{len(error.errors())} field(s) are wrong" if len(items) > 1 else items[0].detail
    return _respond(request, _kind_of(kinds)(detail, errors=items))


def _kind_of(kinds: Set[str]) -> type[Invalid]:
    """Where nothing is wrong but what no OpenAPI document can say, programs are told so."""
    if kinds <= _NAMES:
        return UnknownArchitecture
    return Impossible if kinds <= _NAMES | {"impossible_combination"} else Invalid


def _item(entry: dict[str, Any], body: Any) -> ProblemItem:
    loc: Sequence[int | str] = entry["loc"]
    message = str(entry["msg"])
    if loc and loc[0] != "body":
        return ProblemItem(detail=message, pointer=f"#/{loc[0]}/{'/'.join(map(str, loc[1:]))}")
    return ProblemItem(detail=message, pointer=pointer(loc[1:], body))


def pointer(loc: Sequence[int | str], body: Any) -> str:
    """A JSON pointer (RFC 6901) for pydantic's path, without the tags of unions in it.

    A tag is a step that is not there in the body although more steps follow.
    """
    steps: list[str] = []
    value = body
    for index, step in enumerate(loc):
        is_last = index == len(loc) - 1
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if not is_last or not isinstance(value, dict):
                continue
        steps.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "#" + "".join(f"/{step}" for step in steps)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "error")
    headers = error.headers
    if error.status_code == 405 and headers is not None:
        headers = {**headers, "Allow": ", ".join(_methods_of(request))}
    detail = "there is no such route" if error.status_code == 404 else str(error.detail)
    made = _framework_error(error.status_code)(detail, code=code, headers=headers)
    return _respond(request, made)


def _methods_of(request: Request) -> list[str]:
    """All that the path takes: the framework tells of the first route that has it only."""
    routes = request.app.router.routes

    def is_taken(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in _METHODS if is_taken(method)]


def _framework_error(code: int) -> type[ServiceError]:
    """A class for a status that the framework chose."""

    class FrameworkError(ServiceError):
        status, title, default_code = code, _TITLES.get(code, "Error"), "error"

    return FrameworkError


class _Unexpected(ServiceError):
    status, title, default_code = 500, "Internal error", "internal"


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _respond(request, _Unexpected("something went wrong here; quote the request id"))
