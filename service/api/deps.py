"""What handlers ask for."""

import contextlib
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPBearer

from service import audit
from service.api import browser
from service.api.rates import Rates, neighbourhood
from service.auth import Caller, Keyring, OpensNothing
from service.contract.wire import Problem
from service.errors import Unauthorized
from service.services import Services

_TARGET: Final = 255  # as much as its column holds

# For the documentation and its button only: the check itself is ours, with our own problems.
_scheme = HTTPBearer(auto_error=False, description="A key: `mp_…`", scheme_name="key")


# What waits for nothing is a coroutine: a plain function would be handed to a thread.
async def get_services(request: Request) -> Services:
    """What the application was made with."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def _caller(
    request: Request, services: ServicesDep, _: Annotated[object, Security(_scheme)]
) -> Caller:
    return identify(request, services)


def identify(request: Request, services: Services) -> Caller:
    """Who asks, by key or by the cookie of a sign-in; a key goes before a cookie, which comes
    along unasked. Raises Unauthorized, Forbidden or TooMany."""
    header = request.headers.get("authorization")
    secret = browser.session_secret(request)
    if header is not None or secret is None:
        return identify_key(request, services, header)
    caller = _known(request, services, lambda keyring: keyring.caller_by_session(secret))
    browser.check_token(request, secret)
    return caller


def identify_key(request: Request, services: Services, header: str | None) -> Caller:
    """Whose key that is, as `Authorization` has it. Raises Unauthorized or TooMany."""
    return _known(request, services, lambda keyring: keyring.caller(header))


def _known(request: Request, services: Services, look_up: Callable[[Keyring], Caller]) -> Caller:
    """Counts and writes down who asks: the audit log hears of every route here."""
    operation = audit.current()
    assert operation is not None
    operation.does(request.scope["route"].name, _target(request))
    rates: Rates = request.app.state.rates
    address = neighbourhood(request.client.host) if request.client else ""
    stands = request.scope.setdefault("state", {})
    rates.refusals.check(address)
    try:
        caller = look_up(services.keyring)
    except Unauthorized as error:
        if isinstance(error, OpensNothing) and error.ended is not None:
            operation.by(error.ended.id, error.ended.project)
        stands["rate"] = rates.refusals.take(address)
        raise
    operation.by(caller.key_id, caller.project)
    stands["rate"] = rates.of(request.method).take(caller.key_id)
    return caller


def _target(request: Request) -> str | None:
    """What the path names last: an id, or the name of a file."""
    named = [str(value) for value in request.path_params.values()]
    return named[-1][:_TARGET] if named else None


def signs_out(request: Request, services: Services, secret: str) -> None:
    """Tells the audit log whose session the request ends, if it is one."""
    operation = audit.current()
    assert operation is not None
    operation.does(request.scope["route"].name, None)
    with contextlib.suppress(Unauthorized):
        caller = services.keyring.caller_by_session(secret)
        operation.by(caller.key_id, caller.project)
    may_write(request)


def may_write(request: Request) -> None:
    """What the request changes from here on is written down."""
    operation = audit.current()
    if operation is not None and request.method not in ("GET", "HEAD"):
        operation.is_write = True


async def _reader(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    caller.require("read")
    return caller


async def _writer(request: Request, caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    caller.require("write")
    may_write(request)
    return caller


async def _admin(request: Request, caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    caller.require("admin")
    may_write(request)
    return caller


Reader = Annotated[Caller, Depends(_reader)]
Writer = Annotated[Caller, Depends(_writer)]
Admin = Annotated[Caller, Depends(_admin)]

Limit = Annotated[int, Query(ge=1, le=100, description="Items on the page.")]
After = Annotated[
    str | None, Query(max_length=128, description="The `last_id` of the page before.")
]

WORDS: Final = {
    400: "The request is malformed.",
    401: "No key, or none that is good.",
    403: "The key's scope is too small.",
    404: "Not there.",
    406: "No such representation.",
    409: "Its state forbids it.",
    410: "Its bytes are gone.",
    411: "Say how long it is.",
    413: "Too large.",
    414: "The address is too long.",
    415: "Not a format that is taken.",
    416: "Outside of the bytes there are.",
    422: "A field is wrong; `errors` points at it.",
    429: "Too many requests, or the project has as many jobs waiting as it may.",
    431: "The headers are too many or too long.",
    503: "Something the service needs does not answer.",
    507: "No room left, or the project has as many bytes as it may.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The `responses` of a route: those named, and those that every route has."""
    return {
        status: {
            "description": WORDS[status],
            "model": Problem,
            "content": {"application/problem+json": {}},
        }
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }
