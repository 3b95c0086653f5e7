"""Browsers that are signed in, without what their cookies hold."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from service.store.keys import OpenKey
from service.store.session import now
from service.store.tables import KeyRow, SessionRow


class SessionStore:
    """The sign-ins of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, secret_sha256: str, key_id: str, life_s: float) -> None:
        """Signed in from now on, by this key."""
        moment = now(self._session)
        self._session.add(
            SessionRow(
                secret_sha256=secret_sha256,
                key_id=key_id,
                created_at=moment,
                expires_at=moment + timedelta(seconds=life_s),
            )
        )

    def opened_by(self, secret_sha256: str) -> OpenKey | None:
        """The key of a session, as long as neither is over."""
        moment = now(self._session)
        row = self._session.execute(
            select(KeyRow.id, KeyRow.project, KeyRow.scopes)
            .join(SessionRow, SessionRow.key_id == KeyRow.id)
            .where(
                SessionRow.secret_sha256 == secret_sha256,
                SessionRow.expires_at > moment,
                KeyRow.revoked_at.is_(None),
                or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > moment),
            )
        ).one_or_none()
        return row and OpenKey(row.id, row.project, frozenset(row.scopes))

    def good(self, secret_sha256s: Collection[str]) -> frozenset[str]:
        """Those of the sessions that are not over; what their keys open is not asked."""
        query = select(SessionRow.secret_sha256).where(
            SessionRow.secret_sha256.in_(secret_sha256s),
            SessionRow.expires_at > now(self._session),
        )
        return frozenset(self._session.scalars(query))

    def close(self, secret_sha256: str) -> None:
        """Signed out. Twice is fine."""
        self._session.execute(
            delete(SessionRow)
            .where(SessionRow.secret_sha256 == secret_sha256)
            .execution_options(synchronize_session=False)
        )


def forget_sessions(session: Session, before: datetime, limit: int) -> int:
    """Delete sessions that were over before. Returns how many."""
    old = select(SessionRow.secret_sha256).where(SessionRow.expires_at < before).limit(limit)
    gone = session.execute(
        delete(SessionRow)
        .where(SessionRow.secret_sha256.in_(old))
        .returning(SessionRow.secret_sha256)
        .execution_options(synchronize_session=False)
    ).all()
    return len(gone)
