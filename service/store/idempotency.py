"""Answers to requests that named an Idempotency-Key, so that a repeat gets the same one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.session import now
from service.store.sql import upsert
from service.store.tables import IdempotencyRow

KEPT: Final = timedelta(hours=24)


class IdempotencyStore:
    """Within the transaction that makes the job, so that either both are there or none."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, project: str, key: str) -> IdempotencyRow | None:
        """The answer given within the last 24 hours."""
        query = select(IdempotencyRow).where(
            IdempotencyRow.project == project,
            IdempotencyRow.key == key,
            IdempotencyRow.created_at > now(self._session) - KEPT,
        )
        return self._session.execute(query).scalar_one_or_none()

    def put(
        self,
        project: str,
        key: str,
        *,
        fingerprint: str,
        job_id: str,
        status: int,
        body: Mapping[str, Any],
    ) -> bool:
        """False: another request with this key was faster; nothing was written. On Postgres it
        waits for that request's transaction to end."""
        moment = now(self._session)
        self._session.execute(
            delete(IdempotencyRow).where(
                IdempotencyRow.project == project,
                IdempotencyRow.key == key,
                IdempotencyRow.created_at <= moment - KEPT,
            )
        )
        values = {
            "project": project,
            "key": key,
            "fingerprint": fingerprint,
            "job_id": job_id,
            "status": status,
            "body": dict(body),
            "created_at": moment,
        }
        return upsert(self._session, IdempotencyRow, [values], keep=True) == 1

    def purge(self) -> None:
        """Forget what is older than a day."""
        self._session.execute(
            delete(IdempotencyRow).where(IdempotencyRow.created_at <= now(self._session) - KEPT)
        )
