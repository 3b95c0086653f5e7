"""Signatures by Standard Webhooks 1.0 (https://www.standardwebhooks.com), symmetric."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

_PREFIX: Final = "whsec_"
_BYTES: Final = 32


def new_secret() -> str:
    """256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed_headers(
    message_id: str, sent_at: int, body: bytes, signing: Sequence[str]
) -> dict[str, str]:
    """The three headers. With several secrets several signatures: a receiver checks any of them.

    `sent_at` is in seconds since 1970.
    """
    text = f"{message_id}.{sent_at}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": " ".join(f"v1,{_signature(secret, text)}" for secret in signing),
    }


def _signature(secret: str, text: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
