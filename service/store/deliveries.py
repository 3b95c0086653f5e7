"""Messages to webhooks: claimed with a lease, tried again by a schedule, kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from service.contract.webhooks import DeliveryStatus
from service.store.errors import NotFound
from service.store.limits import alone
from service.store.outbox import message, put
from service.store.session import now
from service.store.sql import spelled_out
from service.store.tables import DeliveryRow, WebhookRow
from service.store.tries import jittered, waits
from service.store.types import clean_text

RETRY_S: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 28_800.0, 86_400.0)
"""Waits after each failed try; after one more it is given up, some 35 hours after the first."""
DISABLE_AFTER: Final = timedelta(days=3)
KEEP: Final = timedelta(days=7)
TEST: Final = "webhook.test"
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A message that the caller is to send, once."""

    id: str
    webhook_id: str
    try_: int
    event: str
    body: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try; `status` is None where nobody answered."""

    status: int | None
    error: str | None

    @property
    def arrived(self) -> bool:
        """Whether it was taken."""
        return self.error is None


class DeliveryStore:
    """The messages of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_test(self, webhook: WebhookRow) -> DeliveryRow:
        """A message that tells of nothing. It is tried once."""
        moment = now(self._session)
        data = {"object": "webhook", "id": webhook.id}
        made = put(self._session, webhook.id, TEST, message(TEST, moment, data), moment)
        return self.get(made, webhook.id)

    def get(self, delivery_id: str, webhook_id: str) -> DeliveryRow:
        """NotFound, also for another webhook's."""
        query = select(DeliveryRow).where(
            DeliveryRow.id == delivery_id, DeliveryRow.webhook_id == webhook_id
        )
        fresh = query.execution_options(populate_existing=True)
        row = self._session.execute(fresh).scalar_one_or_none()
        if row is None:
            raise NotFound("delivery", delivery_id)
        return row

    def list(
        self,
        webhook_id: str,
        limit: int,
        after: str | None = None,
        status: DeliveryStatus | None = None,
    ) -> Sequence[DeliveryRow]:
        """Newest first; `after` is the last id of the page before."""
        query = select(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id)
        if status is not None:
            query = query.where(DeliveryRow.status == status)
        if after is not None:
            query = query.where(DeliveryRow.id < after)
        return self._session.scalars(query.order_by(DeliveryRow.id.desc()).limit(limit)).all()

    def is_due(self) -> bool:
        """Whether `claim` would find one, without a lock."""
        return self._session.execute(self._due(now(self._session)).limit(1)).first() is not None

    def pending(self) -> tuple[int, float]:
        """How many messages are not over, of all projects, and the age of the oldest of them."""
        query = select(func.count(), func.min(DeliveryRow.created_at))
        count, oldest = self._session.execute(
            query.where(spelled_out(DeliveryRow.status, {"pending"}))
        ).one()
        age = timedelta() if oldest is None else now(self._session) - oldest
        return count, max(0.0, age.total_seconds())

    def claim(self, lease_s: float) -> ClaimedDelivery | None:
        """Take the message that is due longest; nobody else does while the lease lasts.

        A webhook is sent one at a time, so that a slow one holds up no other. None: nothing due.
        """
        alone(self._session, "deliveries", "")  # or two would each take one of the same webhook
        moment = now(self._session)
        longest = (
            self._due(moment)
            .order_by(DeliveryRow.next_try_at, DeliveryRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        row = self._session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id == longest, waits(DeliveryRow, moment))
            .values(
                tries=DeliveryRow.tries + 1,
                tried_at=moment,
                lease_until=moment + timedelta(seconds=lease_s),
            )
            .returning(DeliveryRow)
            .execution_options(populate_existing=True, synchronize_session=False)
        ).scalar_one_or_none()
        return None if row is None else self._claimed(row, moment)

    def _due(self, moment: datetime) -> Any:
        other = aliased(DeliveryRow)
        being_sent = select(other.id).where(
            other.webhook_id == DeliveryRow.webhook_id,
            spelled_out(other.status, {"pending"}),
            other.lease_until > moment,
        )
        return select(DeliveryRow.id).where(
            waits(DeliveryRow, moment),
            DeliveryRow.next_try_at <= moment,
            ~being_sent.correlate(DeliveryRow).exists(),
        )

    def _claimed(self, row: DeliveryRow, moment: datetime) -> ClaimedDelivery:
        hook = self._session.get_one(WebhookRow, row.webhook_id, populate_existing=True)
        signing = [hook.secret]
        if hook.old_secret and hook.old_secret_until and hook.old_secret_until > moment:
            signing.append(hook.old_secret)
        return ClaimedDelivery(
            id=row.id,
            webhook_id=hook.id,
            try_=row.tries,
            event=row.event,
            body=row.body,
            url=hook.url,
            secrets=tuple(signing),
        )

    def finish(self, sent: ClaimedDelivery, answer: Answer) -> DeliveryStatus | None:
        """Write down what came of a try. None: the message is gone, or a later try has it."""
        hook = self._session.execute(  # before the message, in the order of whoever deletes both
            select(WebhookRow).where(WebhookRow.id == sent.webhook_id).with_for_update()
        ).scalar_one_or_none()
        if hook is None:
            return None
        moment = now(self._session)
        status = _after(sent, answer, hook)
        written = self._write(sent, answer, status, moment)
        if written:
            self._judge(hook, sent, answer, status, moment)
        return status if written else None

    def _write(
        self, sent: ClaimedDelivery, answer: Answer, status: DeliveryStatus, moment: datetime
    ) -> bool:
        values: dict[str, Any] = {
            "status": status,
            "lease_until": None,
            "response_status": answer.status,
            "error": None if answer.error is None else clean_text(answer.error),
        }
        if status == "pending":
            values["next_try_at"] = moment + jittered(RETRY_S[sent.try_ - 1])
        else:
            values["finished_at"] = moment
        mine = (DeliveryRow.id == sent.id, DeliveryRow.tries == sent.try_)
        return self._update(values, *mine, DeliveryRow.status == "pending") == 1

    def _judge(
        self,
        hook: WebhookRow,
        sent: ClaimedDelivery,
        answer: Answer,
        status: DeliveryStatus,
        moment: datetime,
    ) -> None:
        """What a try says of its webhook. A test speaks only well of it."""
        if answer.arrived:
            hook.succeeded_at, hook.failing_since = moment, None
        elif sent.event != TEST:
            since = hook.failing_since = hook.failing_since or moment
            tired = status == "failed" and since <= moment - DISABLE_AFTER
            if (tired or answer.status == _GONE) and hook.disabled_at is None:
                self._disable(hook, moment)
        self._session.flush()

    def _disable(self, hook: WebhookRow, moment: datetime) -> None:
        hook.disabled_at = moment
        # without touching one that is being sent: what came of it is still to be written
        waiting = (DeliveryRow.webhook_id == hook.id, waits(DeliveryRow, moment))
        error = "the webhook was disabled before it was sent again"
        self._update({"status": "failed", "error": error, "finished_at": moment}, *waiting)

    def redeliver(self, delivery_id: str, webhook_id: str) -> DeliveryRow:
        """Send a message that is over again, now, and then by what is left of the schedule. One
        that is pending stays as it is."""
        moment = now(self._session)
        self._update(
            {"status": "pending", "next_try_at": moment, "finished_at": None},
            DeliveryRow.id == delivery_id,
            DeliveryRow.webhook_id == webhook_id,
            DeliveryRow.status != "pending",
        )
        return self.get(delivery_id, webhook_id)

    def purge(self) -> None:
        """Forget messages that have been over for a week."""
        before = now(self._session) - KEEP
        self._session.execute(delete(DeliveryRow).where(DeliveryRow.finished_at < before))

    def _update(self, values: dict[str, Any], *where: ColumnElement[bool]) -> int:
        changed = self._session.scalars(
            update(DeliveryRow)
            .where(*where)
            .values(values)
            .returning(DeliveryRow.id)
            .execution_options(synchronize_session=False)
        )
        return len(changed.all())


def _after(sent: ClaimedDelivery, answer: Answer, hook: WebhookRow) -> DeliveryStatus:
    if answer.arrived:
        return "succeeded"
    over = sent.event == TEST or sent.try_ > len(RETRY_S)
    over = over or answer.status == _GONE or hook.disabled_at is not None
    return "failed" if over else "pending"
