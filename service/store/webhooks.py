"""Webhooks: whom to tell."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.contract.ids import new_id
from service.contract.webhooks import MOST_WEBHOOKS
from service.store.errors import Conflict, NotFound
from service.store.limits import alone
from service.store.session import now
from service.store.tables import WebhookRow
from service.store.types import clean_text


class WebhookStore:
    """The webhooks of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, project: str, *, name: str, url: str, events: Sequence[str], secret: str
    ) -> WebhookRow:
        """A webhook that is told from now on. Conflict where the project has as many as it may."""
        alone(self._session, "webhooks", project)
        count = select(func.count()).where(WebhookRow.project == project)
        if self._session.execute(count).scalar_one() >= MOST_WEBHOOKS:
            raise Conflict(f"a project has {MOST_WEBHOOKS} webhooks at most; delete one")
        row = WebhookRow(
            id=new_id("whk"),
            project=project,
            name=clean_text(name),
            url=url,
            events=list(dict.fromkeys(events)),
            secret=secret,
            created_at=now(self._session),
        )
        self._session.add(row)
        self._session.flush()
        return row

    def get(self, webhook_id: str, project: str, *, hold: bool = False) -> WebhookRow:
        """NotFound, also for another project's. With `hold` it stays as it is until the
        transaction ends."""
        query = select(WebhookRow).where(WebhookRow.id == webhook_id)
        if hold:
            query = query.with_for_update()
        row = self._session.execute(
            query.execution_options(populate_existing=True)
        ).scalar_one_or_none()
        if row is None or row.project != project:
            raise NotFound("webhook", webhook_id)
        return row

    def list(self, project: str, limit: int, after: str | None = None) -> Sequence[WebhookRow]:
        """Newest first; `after` is the last id of the page before."""
        query = select(WebhookRow).where(WebhookRow.project == project)
        if after is not None:
            query = query.where(WebhookRow.id < after)
        return self._session.scalars(query.order_by(WebhookRow.id.desc()).limit(limit)).all()

    def delete(self, webhook_id: str, project: str) -> None:
        """Forget it and its messages, also those that were not sent. NotFound as with `get`."""
        mine = (WebhookRow.id == webhook_id, WebhookRow.project == project)
        gone = delete(WebhookRow).where(*mine).returning(WebhookRow.id)
        if self._session.scalar(gone) is None:
            raise NotFound("webhook", webhook_id)

    def rotate(self, webhook_id: str, project: str, secret: str, overlap_s: float) -> WebhookRow:
        """Sign with `secret` from now on, and for so long with the one before it too."""
        row, moment = self.get(webhook_id, project, hold=True), now(self._session)
        row.old_secret = row.secret if overlap_s > 0 else None
        row.old_secret_until = moment + timedelta(seconds=overlap_s) if overlap_s > 0 else None
        row.secret = secret
        self._session.flush()
        return row

    def enable(self, webhook_id: str, project: str) -> WebhookRow:
        """Tell it again. What happened meanwhile it is not told."""
        row = self.get(webhook_id, project, hold=True)
        row.disabled_at, row.failing_since = None, None
        self._session.flush()
        return row
