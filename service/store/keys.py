"""Keys, without their secrets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from service.store.errors import Conflict, NotFound
from service.store.session import clock_of, has_clock, now
from service.store.tables import KeyRow
from service.store.types import UtcDateTime
from service.store.values import NewKey

_USED_EVERY: Final = timedelta(minutes=1)  # a write for each request would cost more than it tells


@dataclass(frozen=True, slots=True)
class OpenKey:
    """What a key opens, and how."""

    id: str
    project: str
    scopes: frozenset[str]


def _open_keys(clock: ColumnElement[datetime]) -> Select[str, str, list[str]]:
    return select(KeyRow.id, KeyRow.project, KeyRow.scopes).where(
        KeyRow.secret_sha256 == bindparam("secret"),
        KeyRow.revoked_at.is_(None),
        or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > clock),
    )


# Every request asks this: made once, and of columns, it takes a third of the time.
_BY_MOMENT: Final = _open_keys(bindparam("moment", type_=UtcDateTime()))
_BY_CLOCK: Final = _open_keys(func.clock_timestamp(type_=UtcDateTime()))


class KeyStore:
    """The keys of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, key: NewKey) -> KeyRow:
        """A key that opens `key.project` from now on."""
        row = KeyRow(
            id=key.id,
            project=key.project,
            name=key.name,
            scopes=list(key.scopes),
            secret_sha256=key.secret_sha256,
            hint=key.hint,
            created_at=now(self._session),
            expires_at=key.expires_at,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def find(self, secret_sha256: str) -> KeyRow | None:
        """The key of a secret, if it is neither revoked nor expired."""
        return self._session.execute(
            select(KeyRow).where(
                KeyRow.secret_sha256 == secret_sha256,
                self._opens(),
            )
        ).scalar_one_or_none()

    def ended(self, secret_sha256: str) -> KeyRow | None:
        """The key of a secret, whatever became of it."""
        return self._session.scalars(
            select(KeyRow).where(KeyRow.secret_sha256 == secret_sha256)
        ).one_or_none()

    def opened_by(self, secret_sha256: str) -> OpenKey | None:
        """What `find` finds, for every request there is."""
        asked: dict[str, object] = {"secret": secret_sha256}
        statement = _BY_CLOCK if has_clock(self._session) else _BY_MOMENT
        if statement is _BY_MOMENT:
            asked["moment"] = now(self._session)
        row = self._session.execute(statement, asked).one_or_none()
        return row and OpenKey(row.id, row.project, frozenset(row.scopes))

    def get(self, key_id: str) -> KeyRow:
        """Held until the transaction ends. NotFound, also for one that was revoked."""
        row = self._session.get(KeyRow, key_id, populate_existing=True, with_for_update=True)
        if row is None or row.revoked_at is not None:
            raise NotFound("key", key_id)
        return row

    def good(self, key_ids: Collection[str]) -> frozenset[str]:
        """Those of the keys that are neither revoked nor expired."""
        query = select(KeyRow.id).where(KeyRow.id.in_(key_ids), self._opens())
        return frozenset(self._session.scalars(query))

    def _opens(self) -> ColumnElement[bool]:
        ends = or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > clock_of(self._session))
        return and_(KeyRow.revoked_at.is_(None), ends)

    def known(self, secret_sha256: str) -> bool:
        """Whether there is, or was, such a key."""
        query = select(KeyRow.id).where(KeyRow.secret_sha256 == secret_sha256)
        return self._session.execute(query).first() is not None

    def list(self, limit: int, after: str | None = None) -> Sequence[KeyRow]:
        """Newest first, revoked ones left out."""
        query = select(KeyRow).where(KeyRow.revoked_at.is_(None))
        if after is not None:
            query = query.where(KeyRow.id < after)
        return self._session.scalars(query.order_by(KeyRow.id.desc()).limit(limit)).all()

    def revoke(self, key_id: str) -> KeyRow:
        """It opens nothing from now on. NotFound if there is none, or it was revoked before."""
        row = self.get(key_id)
        row.revoked_at = now(self._session)
        self._session.flush()
        return row

    def rotate(self, key_id: str, successor: NewKey, grace: timedelta) -> KeyRow:
        """Make `successor`, which takes the key's place: the key ends when `grace` is over, or when
        it would have ended anyway. NotFound as with `revoke`; Conflict for one that has a
        successor already, or has expired."""
        old = self.get(key_id)
        moment = now(self._session)
        if old.expires_at is not None and old.expires_at <= moment:
            raise Conflict(f"{key_id} has expired: make a new key")
        if old.rotated_to is not None:
            raise Conflict(f"{key_id} was rotated already: {old.rotated_to} has taken its place")
        row = self.create(successor)
        ends = moment + grace
        old.expires_at = ends if old.expires_at is None else min(old.expires_at, ends)
        old.rotated_to = row.id
        self._session.flush()
        return row

    def touch(self, key_id: str) -> None:
        """It was used, to the minute."""
        moment = now(self._session)
        stale = or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < moment - _USED_EVERY)
        self._session.execute(
            update(KeyRow)
            .where(KeyRow.id == key_id, stale)
            .values(last_used_at=moment)
            .execution_options(synchronize_session=False)
        )
