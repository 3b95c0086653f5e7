"""Reports and comparisons over HTTP: in which form one is asked for, and how it is served."""

from typing import Annotated, Final, Literal

from fastapi import Depends, Query, Request
from starlette.responses import Response

from service.api.content import Content, serve
from service.errors import NotAcceptable

DocumentFormat = Literal["json", "html", "md", "png", "svg"]
_KINDS: Final[dict[DocumentFormat, tuple[str, ...]]] = {
    "json": ("application/json", "application/*", "*/*"),
    "html": ("text/html", "text/*"),
    "md": ("text/markdown",),
    "png": ("image/png", "image/*"),
    "svg": ("image/svg+xml",),
}
MEDIA_TYPES: Final[dict[DocumentFormat, str]] = {name: kinds[0] for name, kinds in _KINDS.items()}
# A document is one file with its styles in it, and no script.
_CSP: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"
)


def accepted(accept: str) -> DocumentFormat:
    """The first kind of the header that there is, best quality first."""
    ranges = []
    for index, part in enumerate(accept.split(",")):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranges.append((-float(quality), index, media.lower()))
        except ValueError:
            continue
    for weight, _, media in sorted(ranges):
        for name, kinds in _KINDS.items():
            if media in kinds and weight < 0:
                return name
    raise NotAcceptable(f"there are {', '.join(MEDIA_TYPES.values())}")


def _asked(
    request: Request,
    format: Annotated[  # noqa: A002  # the name in the interface
        DocumentFormat | None, Query(description="None: by `Accept`.")
    ] = None,
) -> DocumentFormat:
    return format or accepted(request.headers.get("accept", "*/*"))


AskedFormat = Annotated[DocumentFormat, Depends(_asked)]
"""The form that a request names, or accepts."""


def serve_document(request: Request, content: Content) -> Response:
    """A document, harmless in a browser whatever names are in it. Only our own pages frame it."""
    response = serve(request, content)
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
