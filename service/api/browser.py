"""Browsers: the cookie of a sign-in, and what keeps other sites from using it.

A cookie is sent along whoever made the page that asks. So a request that comes by cookie and may
change something must carry the session's token in a header, which only our own pages can read
(OWASP, "HMAC based token pattern"); a cookie that other sites' forms do not send (SameSite) is the
second line.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from service.errors import Forbidden

TOKEN_HEADER: Final = "X-CSRF-Token"  # noqa: S105  # the name of a header
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE: Final = "modelpress_session"


def cookie_name(request: Request) -> str:
    """Over TLS with the prefix that keeps other hosts and plain HTTP from setting it."""
    return f"__Host-{_COOKIE}" if _is_secure(request) else _COOKIE


def session_secret(request: Request) -> str | None:
    """What the cookie of a sign-in holds, if there is one."""
    return request.cookies.get(cookie_name(request))


def set_session(request: Request, response: Response, secret: str, life_s: float) -> None:
    """Give the browser its cookie. Lax: a link from a mail to a job finds one signed in."""
    response.set_cookie(
        cookie_name(request),
        secret,
        max_age=int(life_s),
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )


def drop_session(request: Request, response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(
        cookie_name(request),
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )


def token_of(secret: str) -> str:
    """The token that a session's pages carry. It tells nothing of the secret."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def check_token(request: Request, secret: str) -> None:
    """Raises Forbidden unless the request is harmless, or comes from a page of ours."""
    if request.method in _SAFE:
        return
    given = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(given.encode(), token_of(secret).encode()):
        raise Forbidden(
            f"a request by cookie needs the page's token in {TOKEN_HEADER}: reload the page, or "
            "send a key as `Authorization: Bearer …`",
            code="csrf",
        )


def check_same_site(request: Request) -> None:
    """Raises Forbidden for a form of another site's page: who signs a stranger in to a session of
    their own reads what the stranger does there."""
    fetch_site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    is_foreign_origin = origin is not None and _host_of(origin) != host
    if fetch_site not in ("same-origin", "none") or is_foreign_origin:
        raise Forbidden("this form belongs to another site", code="csrf")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # no browser's: a bracket that does not close
        return None


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
