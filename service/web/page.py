"""Templates, and what all of them are given."""

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from service.api.browser import session_secret, token_of
from service.auth import Caller
from service.reports import show
from service.web.assets import asset

_SECONDS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in its largest unit: `3 min`."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in _SECONDS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def prose(text: str) -> Markup:
    """A sentence of ours or an engine's, in which what stands between backticks is code."""
    parts = [escape(part) for part in text.split("`")]
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(p) if i % 2 else p for i, p in enumerate(parts))


_templates = Environment(
    loader=PackageLoader("service.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(asset=asset)
_templates.filters.update(
    age=age,
    count=show.count,
    duration=show.duration,
    percent=show.percent,
    points=show.points,
    prose=prose,
    ratio=show.ratio,
    significant=show.significant,
    size=show.size,
)


def page(
    request: Request,
    template: str,
    caller: Caller | None,
    *,
    status_code: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page for `caller`, None for one who is not signed in."""
    secret = session_secret(request)
    text = _templates.get_template(template).render(
        request_path=request.url.path,
        caller=caller,
        csrf=token_of(secret) if secret else "",
        may_write=caller is not None and bool(caller.scopes & {"write", "admin"}),
        **values,
    )
    return HTMLResponse(text, status_code=status_code)
