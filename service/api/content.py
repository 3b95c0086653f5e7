"""Bytes over HTTP: ranges, entity tags, conditional requests (RFC 9110)."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from service.blobs import BlobStore, attachment
from service.errors import BadRange

_RANGE: Final = re.compile(
    r"^bytes=(\d{0,18})-(\d{0,18})$"
)  # a longer number means no bytes of ours
_URL_S: Final = 3600


@dataclass(frozen=True)
class Content:
    """Bytes that can be read from anywhere: `read(start, end)` gives [start, end)."""

    etag: str
    size: int
    media_type: str
    filename: str | None
    read: Callable[[int, int], Iterable[bytes]]
    digest: str | None = None
    """SHA-256 in hex, where it is known without reading."""


def of_blob(
    blobs: BlobStore, sha256: str, size: int, media_type: str, filename: str | None
) -> Content:
    """A blob as content."""
    return Content(
        etag=sha256,
        size=size,
        media_type=media_type,
        filename=filename,
        read=lambda start, end: blobs.open(sha256, start, end),
        digest=sha256,
    )


def serve_blob(
    request: Request, blobs: BlobStore, sha256: str, size: int, media_type: str, filename: str
) -> Response:
    """A blob as a download: a redirect where the store serves it itself, else its bytes."""
    url = blobs.url(sha256, filename, media_type, _URL_S)
    if url is not None:
        return RedirectResponse(url, status_code=307)
    return serve(request, of_blob(blobs, sha256, size, media_type, filename))


def serve(request: Request, content: Content) -> Response:
    """200, 206, 304 or 416, for GET and HEAD."""
    etag = f'"{content.etag}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    if content.filename is not None:
        headers["Content-Disposition"] = attachment(content.filename)
    if content.digest is not None:
        headers["Repr-Digest"] = f"sha-256=:{_base64(content.digest)}:"
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    start, end, partial = _wanted(request, content.size, etag)
    status = 206 if partial else 200
    headers["Content-Length"] = str(end - start)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=content.media_type)
    return StreamingResponse(
        _started(content.read(start, end)),
        status_code=status,
        headers=headers,
        media_type=content.media_type,
    )


def _wanted(request: Request, size: int, etag: str) -> tuple[int, int, bool]:
    """(start, end, partial). Several ranges at once are answered with everything, as one may."""
    given = request.headers.get("range")
    if_range = request.headers.get("if-range")
    found = _RANGE.match(given.strip()) if given else None
    if found is None or (if_range is not None and if_range != etag) or found.groups() == ("", ""):
        return 0, size, False
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return 0, size, False  # not a range at all, and so ignored (RFC 9110, 14.1.1)
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        raise BadRange(f"there are {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return start, end, True


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag in tags


def _started(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, of which the first is read here: a blob that is gone is an error, and not a
    200 that breaks off."""
    iterator = iter(chunks)
    first = next(iterator, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from iterator

    return rest()


def _base64(hexadecimal: str) -> str:
    import base64

    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()
