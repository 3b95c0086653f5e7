"""Bytes coming in: to a staging file with flat memory, hashed on the way, whole or not at all."""

import asyncio
import base64
import binascii
import errno
import hashlib
import re
from pathlib import Path
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import BadRequest, LengthRequired, NoSpace, TooLarge

_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")
_BUFFER: Final = 1 << 20


def declared_length(request: Request, limit: int) -> int:
    """Content-Length, which must be there and within `limit`."""
    value = request.headers.get("content-length")
    if value is None or not value.isdigit():
        raise LengthRequired("send Content-Length")
    length = int(value)
    if length > limit:
        raise TooLarge(f"a file may have {limit} bytes, this has {length}")
    return length


def declared_sha256(request: Request) -> str | None:
    """The digest that the client promises (RFC 9530), in hex."""
    header = request.headers.get("repr-digest")
    if header is None:
        return None
    found = _DIGEST.search(header)
    try:
        digest = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise BadRequest("Repr-Digest must be sha-256=:BASE64:", code="bad_digest")
    return digest.hex()


async def receive(request: Request, path: Path, length: int, *, append: bool = False) -> str:
    """Write the body to `path` and return its SHA-256. Raises BadRequest for a body of another
    length, also when the connection broke; what was written until then is the caller's."""
    digest = hashlib.sha256()
    received = 0
    buffer = bytearray()
    try:
        with path.open("ab" if append else "wb") as file:
            async for chunk in request.stream():
                received += len(chunk)
                if received > length:
                    raise BadRequest("the body is longer than Content-Length", code="bad_length")
                digest.update(chunk)
                buffer += chunk
                if len(buffer) >= _BUFFER:
                    await asyncio.to_thread(file.write, bytes(buffer))
                    buffer.clear()
            await asyncio.to_thread(file.write, bytes(buffer))
    except ClientDisconnect:
        raise BadRequest("the connection broke", code="incomplete") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("no room left for uploads") from error
        raise
    if received != length:
        raise BadRequest(f"{received} of {length} bytes came", code="incomplete")
    return digest.hexdigest()
