"""What pages load: our styles and scripts, and the charts library. All from here, none from a CDN.

The folder's digest is part of every address, so that browsers may keep the files for ever and
relative imports between scripts stay within one version.
"""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from service.errors import Missing
from service.web.bundle import Bundle

router = APIRouter()

_STATIC: Final = files("service.web") / "static"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_CHARTS: Final = "charts-library.js"


@cache
def _contents() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in _shipped()}


def _shipped() -> list[Traversable]:
    return sorted(
        (file for file in _STATIC.iterdir() if file.is_file() and _suffix(file.name)),
        key=lambda file: file.name,
    )


def _suffix(name: str) -> str | None:
    return next((suffix for suffix in _MEDIA_TYPES if name.endswith(suffix)), None)


@cache
def digest() -> str:
    """Of all that is shipped, and of the version of what the charts library is made by."""
    found = hashlib.sha256(version("vl-convert-python").encode())
    for name, content in _contents().items():
        found.update(name.encode() + b"\0" + content)
    return found.hexdigest()[:16]


def asset(name: str) -> str:
    """The address of a file of ours."""
    assert name == _CHARTS or name in _contents(), name
    return f"/ui/assets/{digest()}/{name}"


@router.get("/ui/assets/{folder}/{name}", name="get_asset")
def get_asset(folder: str, name: str, request: Request) -> Response:
    """Styles and scripts need no key: the sign-in page wants them too."""
    if folder != digest():
        if name in (*_contents(), _CHARTS):  # a page from before an update
            return RedirectResponse(asset(name))
        raise Missing("there is no such file")
    if name == _CHARTS:
        bundle: Bundle = request.app.state.charts_library
        return Response(bundle.read(), media_type=_MEDIA_TYPES[".js"], headers=_FOR_EVER)
    if name not in _contents():
        raise Missing("there is no such file")
    media_type = _MEDIA_TYPES[_suffix(name) or ""]
    return Response(_contents()[name], media_type=media_type, headers=_FOR_EVER)
