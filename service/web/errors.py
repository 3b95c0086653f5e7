"""Errors as pages: the same words as the API's problems, and the way on."""

from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from service.api.problems import request_id_of
from service.errors import ServiceError, Unauthorized
from service.web.page import page


def draw_error(request: Request, error: ServiceError) -> Response | None:
    """A page for a person who asked for one; None leaves it to the API."""
    path = request.url.path
    if path != "/ui" and not path.startswith("/ui/"):
        return None
    if request.method == "DELETE":  # a script asked, and shows the problem's words
        return None
    if isinstance(error, Unauthorized) and request.method == "GET":
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        query = "" if wanted == "/ui" else "?" + urlencode({"next": wanted})
        return RedirectResponse(f"/ui/sign-in{query}", status_code=303)
    response = page(
        request,
        "error.html",
        None,
        status_code=error.status,
        error=error,
        request_id=request_id_of(request),
    )
    response.headers.update(error.headers)
    return response
