"""The audit log."""

from collections.abc import Iterator
from datetime import datetime

from service.client.http import Http
from service.contract.audit import AuditRead, Outcome
from service.contract.wire import Page


class Audit:
    """Who did what; reading it takes the scope `admin`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self,
        *,
        project: str | None = None,
        key: str | None = None,
        action: str | None = None,
        target: str | None = None,
        outcome: Outcome | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[AuditRead]:
        """Entries, newest first, fetched page after page as they are reached."""
        asked = {
            "project": project,
            "key": key,
            "action": action,
            "target": target,
            "outcome": outcome,
            "created_after": None if created_after is None else created_after.isoformat(),
            "created_before": None if created_before is None else created_before.isoformat(),
            "limit": 100,
        }
        return self._http.pages(Page[AuditRead], "/v1/audit", asked)
