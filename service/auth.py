"""Keys: `mp_`, 32 random characters, and a checksum that tells a mistyped key from a wrong one."""

import hashlib
import secrets
import threading
import time
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.contract.wire import Scope
from service.errors import Forbidden, Unauthorized
from service.store.keys import KeyStore
from service.store.session import Database
from service.store.values import NewKey

_PREFIX: Final = "mp_"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM: Final = 32  # 190 bits
_CHECK: Final = 6
_CACHE_S: Final = 5.0  # how long another process may not have heard of a revocation
_CACHE_SIZE: Final = 1024


def generate_key() -> str:
    """A fresh secret. Only its SHA-256 is ever stored."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{_PREFIX}{body}{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Whether it can be a key at all: no look-up is needed to refuse one that cannot."""
    body, check = key[len(_PREFIX) : -_CHECK], key[-_CHECK:]
    return key.startswith(_PREFIX) and len(body) == _RANDOM and check == _checksum(body)


def secret_sha256(key: str) -> str:
    """What is stored of a key. Its entropy makes a slow hash pointless."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(
    key: str,
    project: str,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime | None = None,
) -> NewKey:
    """The row of a secret."""
    return NewKey(
        project=project,
        name=name,
        scopes=scopes,
        secret_sha256=secret_sha256(key),
        hint=key[: len(_PREFIX) + 4],
        expires_at=expires_at,
    )


def ensure_key(database: Database, key: str, name: str) -> None:
    """Make an operator's own admin key good, once: one that was revoked stays revoked."""
    if not is_well_formed(key):
        raise ValueError("MODELPRESS_BOOTSTRAP_KEY is no key; `modelpress keys create` makes one")
    with database.transaction() as session:
        if not KeyStore(session).known(secret_sha256(key)):
            KeyStore(session).create(new_key(key, "default", name, ("read", "write", "admin")))


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    key_id: str
    project: str
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Raises Forbidden unless the key has the scope; `admin` has all of them."""
        if not self.scopes & {scope, "admin"}:
            raise Forbidden(f"this key may not do that: it has no scope '{scope}'")


class Keyring:
    """Checks keys, remembering good ones for a few seconds so that most requests cost no look-up.

    Revoking in this process is heard of at once, in others within those seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, tuple[float, Caller]] = {}
        self._lock = threading.Lock()

    def caller(self, authorization: str | None) -> Caller:
        """Raises Unauthorized, with the same words for a wrong key as for a revoked one."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized("send your key as `Authorization: Bearer mp_…`")
        if not is_well_formed(key):
            raise Unauthorized("that is no key: it is mistyped or cut off")
        digest = secret_sha256(key)
        known = self._seen.get(digest)
        if known is not None and time.monotonic() - known[0] < _CACHE_S:
            return known[1]
        return self._look_up(digest)

    def forget(self) -> None:
        """A key was revoked: look again from now on."""
        with self._lock:
            self._seen.clear()

    def _look_up(self, digest: str) -> Caller:
        with self._database.read() as session:
            row = KeyStore(session).find(digest)
        if row is None:
            with self._lock:
                self._seen.pop(digest, None)
            raise Unauthorized("this key opens nothing: it is unknown, expired or revoked")
        with self._database.transaction() as session:
            KeyStore(session).touch(row.id)
        caller = Caller(row.id, row.project, frozenset(row.scopes))
        with self._lock:
            if len(self._seen) >= _CACHE_SIZE:
                self._seen.clear()
            self._seen[digest] = (time.monotonic(), caller)
        return caller


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECK):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
