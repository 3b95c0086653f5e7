"""Sign in with a key, and out."""

from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from service import audit
from service.api import browser
from service.api.deps import ServicesDep, identify_key, may_write, signs_out
from service.errors import ServiceError
from service.services import Services
from service.web.page import page

router = APIRouter()

_HOME: Final = "/ui"


def _inside(path: str) -> str:
    """Where to go after signing in: a page of ours, never another site's."""
    ours = path == _HOME or path.startswith((f"{_HOME}/", f"{_HOME}?"))
    return path if ours and "\\" not in path and not path.startswith(f"{_HOME}/sign-in") else _HOME


@router.get("/ui/sign-in", name="show_sign_in")
def show_sign_in(
    request: Request, wanted: Annotated[str, Query(alias="next", max_length=2048)] = _HOME
) -> Response:
    """The form. Charts are what is looked at next."""
    request.app.state.charts_library.prepare()
    return page(request, "sign-in.html", None, wanted=_inside(wanted), problem=None)


@router.post("/ui/session", name="sign_in")
async def sign_in(request: Request, services: ServicesDep) -> Response:
    """A form with `key` and `next`. Answers with the cookie, or the form again and why."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    key, wanted = (form.get(name, [""])[0] for name in ("key", "next"))
    try:
        browser.check_same_site(request)
        secret = await run_in_threadpool(_opened, request, services, key.strip())
    except ServiceError as error:
        if (operation := audit.current()) is not None:
            operation.code = error.code
        again = page(
            request,
            "sign-in.html",
            None,
            status_code=error.status,
            wanted=_inside(wanted),
            problem=error.detail,
        )
        again.headers.update(error.headers)
        return again
    response = RedirectResponse(_inside(wanted), status_code=303)
    browser.set_session(request, response, secret, services.settings.session_s)
    return response


def _opened(request: Request, services: Services, key: str) -> str:
    caller = identify_key(request, services, f"Bearer {key}")
    caller.require("read")
    may_write(request)
    secret = services.keyring.sign_in(caller.key_id, services.settings.session_s)
    replaced = browser.session_secret(request)
    if replaced is not None:  # its cookie is overwritten: nobody could end that session
        services.keyring.sign_out(replaced)
    return secret


@router.delete("/ui/session", name="sign_out")
def sign_out(request: Request, services: ServicesDep) -> Response:
    """Ends the session, not the key."""
    secret = browser.session_secret(request)
    if secret is not None:
        browser.check_token(request, secret)
        signs_out(request, services, secret)
        services.keyring.sign_out(secret)
    response = RedirectResponse("/ui/sign-in", status_code=303)
    browser.drop_session(request, response)
    return response
