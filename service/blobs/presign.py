"""Links to S3 objects for clients without credentials: AWS Signature Version 4 in the query.

obstore signs links too, but without the query parameters that give a download its file name.
Specification: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class S3Keys:
    """Credentials; they do not show in a repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def attachment(filename: str) -> str:
    """The Content-Disposition that saves a download as `filename` (RFC 6266, RFC 8187)."""
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def presigned_get(
    url: str, keys: S3Keys, region: str, *, query: dict[str, str], now: datetime, expires_s: int
) -> str:
    """`url` with a signature that lets anybody GET it from `now` (UTC) for `expires_s` seconds.

    `query` joins the link, signed. ValueError outside the 1 s to 7 days that S3 allows.
    """
    if not 1 <= expires_s <= 604_800:
        raise ValueError(f"expires_s must be in [1, 604800], got {expires_s}")
    parts = urlsplit(url)
    time = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    signed = query | {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{keys.access_key_id}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if keys.session_token is not None:
        signed["X-Amz-Security-Token"] = keys.session_token
    path = parts.path or "/"
    canonical_query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(signed.items())
    )
    request = f"GET\n{path}\n{canonical_query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = _sign(keys.secret_access_key, scope, f"{_ALGORITHM}\n{time}\n{scope}\n{digest}")
    return f"{parts.scheme}://{parts.netloc}{path}?{canonical_query}&X-Amz-Signature={signature}"


def _sign(secret: str, scope: str, text: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
