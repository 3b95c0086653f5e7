"""Around everything, in plain ASGI: request ids, limits on bodies, security headers, metrics."""

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from service.api import request_log
from service.api.misplaced import refuse_in_address, refuse_in_body
from service.api.problems import problem_response
from service.audit import Trail
from service.contract.ids import new_id
from service.errors import (
    AddressTooLong,
    BadRequest,
    HeadersTooLarge,
    ServiceError,
    TooLarge,
    Unsupported,
)
from service.key_text import KEY_SHAPED, without_keys
from service.tracing import NO_TRACER, Span, Tracer

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_REQUEST_ID: Final = re.compile(rb"^[A-Za-z0-9_\-.]{1,64}$")
_STREAMED: Final = re.compile(r"^/v1/(files/[^/]+|uploads/[^/]+)$")
_MAX_DEPTH: Final = 32
_MAX_ADDRESS: Final = 8192  # the longest of ours names 60 series of metrics
_MAX_HEADERS: Final = 100
_MAX_HEADER_BYTES: Final = 16_384  # the server itself gives up at 64 KiB, in words of its own
_SHOWN: Final = 200
_UNTRACED: Final = ("/livez", "/readyz", "/metrics")  # every few seconds, and always the same
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_API_CSP: Final = b"default-src 'none'; frame-ancestors 'none'"
_UI_CSP: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    b"connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'"
)
_SIGN_IN: Final = "/ui/session"
_MAX_FORM_BYTES: Final = 4096
_DOCS_CSP: Final = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; frame-ancestors 'none'"
)


class Edge:
    """Wraps the application: what it does holds for every request, also those that fail early."""

    def __init__(
        self,
        app: App,
        *,
        max_body_bytes: int,
        trail: Trail,
        rate_policy: bytes = b"",
        observe: Callable[[str, str, int, float], None] | None = None,
        hang_up: Callable[[], None] = lambda: None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`hang_up` ends the streams that are open; call it when the server shall stop.
        `rate_policy` is the field RateLimit-Policy of /v1."""
        self.hang_up = hang_up
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._trail = trail
        self._rate_policy = rate_policy
        self._observe = observe
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if scope["path"] in _UNTRACED:
            await self._serve(scope, receive, send, request_id, None)
            return
        method = scope["method"]
        parent = (_header(scope, b"traceparent") or b"").decode("latin-1") or None
        attributes = {"http.request.method": method, "modelpress.request_id": request_id}
        with self._tracer.span(method, kind="server", parent=parent, attributes=attributes) as span:
            await self._serve(scope, receive, send, request_id, span)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, span: Span | None
    ) -> None:
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *_headers(scope, message, request_id),
                    *self._rate_headers(scope),
                ]
            await send(message)

        try:
            with self._trail.operation(request_id, _address(scope)) as operation:
                operation.traceparent = None if span is None else span.traceparent
                await self._checked(scope, receive, send_with_headers)
        finally:
            self._trail.answered(operation, status)
            route = getattr(scope.get("route"), "path", "other")
            if span is not None:
                _describe(span, scope["method"], route, status)
            seconds = time.perf_counter() - started
            request_log.note(scope["method"], route, status, seconds, operation)
            if self._observe is not None:
                self._observe(scope["method"], route, status, seconds)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _check_address(scope)
        except ServiceError as error:
            request_id = scope["state"]["request_id"]
            response = problem_response(request_id, without_keys(scope["path"][:_SHOWN]), error)
            await response(scope, receive, send)
            return
        await self._limited(scope, receive, send)

    def _rate_headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        if not self._rate_policy or not scope["path"].startswith("/v1/"):
            return []
        standing = scope["state"].get("rate")
        policy = (b"ratelimit-policy", self._rate_policy)
        return [policy] if standing is None else [policy, (b"ratelimit", standing.header())]

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("POST", "PUT", "PATCH") or _STREAMED.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            if scope["path"] == _SIGN_IN:  # a form, and the one body that may hold a key
                body = await self._read(scope, receive, _MAX_FORM_BYTES)
            else:
                body = await self._read(scope, receive, self._max_body_bytes)
                _check_json(scope, body)
        except ServiceError as error:
            request_id = scope["state"]["request_id"]
            response = problem_response(request_id, scope["path"], error)
            await response(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        declared = _header(scope, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise TooLarge(f"a body may have {limit} bytes")
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the connection broke")
            body += message.get("body", b"")
            if len(body) > limit:
                raise TooLarge(f"a body may have {limit} bytes")
            if not message.get("more_body", False):
                return bytes(body)


def _describe(span: Span, method: str, route: str, status: int) -> None:
    """By OpenTelemetry's conventions for HTTP."""
    span.rename(f"{method} {route}")
    span.set("http.route", route)
    span.set("http.response.status_code", status)
    if status >= 500:
        span.fail(str(status))


def _check_json(scope: Scope, body: bytes) -> None:
    """Refuse what is not JSON, and JSON nested so deep that parsing it would end in an error."""
    if not body:
        return
    refuse_in_body(body)
    media_type = (_header(scope, b"content-type") or b"").split(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise Unsupported("send JSON, as `Content-Type: application/json`")
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise BadRequest(f"nested deeper than {_MAX_DEPTH} levels", code="too_deep")
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON", code="not_json") from None


def _check_address(scope: Scope) -> None:
    # Postgres takes no text with one, and no name of ours has one
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise BadRequest("a path or query has no NUL character")
    for part, text in (("path", scope["path"]), ("query", scope["query_string"])):
        if len(text) > _MAX_ADDRESS:
            raise AddressTooLong(f"a {part} may have {_MAX_ADDRESS} bytes")
    headers = scope["headers"]
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > _MAX_HEADERS or size > _MAX_HEADER_BYTES:
        raise HeadersTooLarge(
            f"a request may have {_MAX_HEADERS} headers, of {_MAX_HEADER_BYTES} bytes together"
        )
    refuse_in_address(scope["path"], scope["query_string"], scope["headers"])


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever the client does next."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _request_id(scope: Scope) -> str:
    given = _header(scope, b"x-request-id")
    if given is not None and _REQUEST_ID.match(given) and not KEY_SHAPED.search(given):
        return given.decode()
    return new_id("req")


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0])[:64] if client else None


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _headers(scope: Scope, message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    path = scope["path"]
    present = {name.lower() for name, _ in message["headers"]}
    is_page = path.startswith(("/docs", "/redoc", "/static-offline-docs"))
    is_ui = path == "/ui" or path.startswith("/ui/")
    csp = _UI_CSP if is_ui else _DOCS_CSP if is_page else _API_CSP
    wanted = {
        b"x-request-id": request_id.encode(),
        b"x-content-type-options": b"nosniff",
        # without a referrer a browser calls its forms' origin null, and sign-in asks for it
        b"referrer-policy": b"same-origin" if is_ui else b"no-referrer",
        b"x-frame-options": b"DENY",
        b"content-security-policy": csp,
        b"cache-control": b"no-store",
    }
    return [(name, value) for name, value in wanted.items() if name not in present]
