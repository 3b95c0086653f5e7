"""Who asks, and what they may do."""

import hashlib
import secrets
import time
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.contract.wire import Scope
from service.errors import Forbidden, Unauthorized
from service.key_text import generate_key as generate_key
from service.key_text import hint_of, is_well_formed
from service.store.browser_sessions import SessionStore
from service.store.errors import DatabaseUnavailable
from service.store.keys import KeyStore
from service.store.limits import alone
from service.store.session import Database
from service.store.tables import KeyRow
from service.store.values import NewKey

_TOUCH_S: Final = 60.0
_TOUCHED_SIZE: Final = 1024


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
        hint=hint_of(key),
        expires_at=expires_at,
    )


def ensure_key(database: Database, key: str, name: str) -> None:
    """Make an operator's own admin key good, once: one that was revoked stays revoked."""
    if not is_well_formed(key):
        raise ValueError("MODELPRESS_BOOTSTRAP_KEY is no key; `modelpress keys create` makes one")
    with database.transaction() as session:
        alone(session, "key", secret_sha256(key))  # several API processes may start at once
        if not KeyStore(session).known(secret_sha256(key)):
            KeyStore(session).create(new_key(key, "default", name, ("read", "write", "admin")))


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    key_id: str
    project: str
    scopes: frozenset[str]
    session_sha256: str | None = None
    """Of the cookie, where a browser asks that has signed in."""

    def require(self, scope: Scope) -> None:
        """Raises Forbidden unless the key has the scope; `admin` has all of them."""
        if not self.scopes & {scope, "admin"}:
            raise Forbidden(f"this key may not do that: it has no scope '{scope}'")


class OpensNothing(Unauthorized):
    """A well-formed key that is unknown, expired or revoked. The answer does not tell which;
    `ended` is the row of one that was good once, for the audit log."""

    def __init__(self, ended: KeyRow | None) -> None:
        super().__init__("this key opens nothing: it is unknown, expired or revoked")
        self.ended = ended


class Keyring:
    """Checks keys against their rows, each time: a key that was revoked or has expired opens
    nothing from then on, whichever process it was revoked in.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[str, float] = {}

    def caller(self, authorization: str | None) -> Caller:
        """Raises Unauthorized, with the same words for a wrong key as for a revoked one."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized("send your key as `Authorization: Bearer mp_…`")
        if not is_well_formed(key):
            raise Unauthorized("that is no key: it is mistyped or cut off")
        with self._database.read() as session:
            found = KeyStore(session).opened_by(secret_sha256(key))
            ended = None if found else KeyStore(session).ended(secret_sha256(key))
        if found is None:
            raise OpensNothing(ended)
        self._touch(found.id)
        return Caller(found.id, found.project, found.scopes)

    def check(self, caller: Caller) -> None:
        """Raises Unauthorized if the key was revoked, or has expired, since it was looked up, or
        the sign-in is over."""
        if self.over([caller]):
            raise OpensNothing(None)

    def over(self, callers: Sequence[Caller]) -> Set[Caller]:
        """Those of the callers who may hear nothing more; see `check`."""
        sessions = {one.session_sha256 for one in callers if one.session_sha256 is not None}
        with self._database.read() as session:
            keys = KeyStore(session).good({one.key_id for one in callers})
            signed_in = SessionStore(session).good(sessions) if sessions else frozenset()
        return {
            one
            for one in callers
            if one.key_id not in keys
            or (one.session_sha256 is not None and one.session_sha256 not in signed_in)
        }

    def caller_by_session(self, secret: str) -> Caller:
        """Who signed in with a browser that shows this cookie.

        Raises Unauthorized once the session is over, or its key opens nothing any more.
        """
        with self._database.read() as session:
            found = SessionStore(session).opened_by(secret_sha256(secret))
        if found is None:
            raise Unauthorized("this sign-in is over: sign in again")
        self._touch(found.id)
        return Caller(found.id, found.project, found.scopes, secret_sha256(secret))

    def sign_in(self, key_id: str, life_s: float) -> str:
        """Open a session of a key. Returns the cookie's value, which is kept nowhere."""
        secret = secrets.token_urlsafe(32)
        with self._database.transaction() as session:
            SessionStore(session).open(secret_sha256(secret), key_id, life_s)
        return secret

    def sign_out(self, secret: str) -> None:
        """End a session. One that is over, or never was, is no error."""
        with self._database.transaction() as session:
            SessionStore(session).close(secret_sha256(secret))

    def _touch(self, key_id: str) -> None:
        """Note its use in the row, once a minute: see `KeyStore.touch`."""
        moment = time.monotonic()
        if moment - self._touched.get(key_id, -_TOUCH_S) < _TOUCH_S:
            return
        if len(self._touched) >= _TOUCHED_SIZE:
            self._touched.clear()
        self._touched[key_id] = moment
        # A database that reads and cannot write, as on a full disk, is still good for a reader.
        with suppress(DatabaseUnavailable), self._database.transaction() as session:
            KeyStore(session).touch(key_id)
