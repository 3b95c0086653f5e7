"""Webhooks, and the messages on their way to them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.base import Base, Id, one_of

DELIVERY_STATUSES = ("pending", "succeeded", "failed")
_PENDING = text("status = 'pending'")


class WebhookRow(Base):
    """Whom to tell. The secrets are kept as they are: who signs needs them."""

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "project", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]]
    secret: Mapped[str] = mapped_column(String(128))
    old_secret: Mapped[str | None] = mapped_column(String(128))
    old_secret_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class DeliveryRow(Base):
    """A message. `tries` is its fencing token: it only grows, and what a try writes names it."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(one_of("status", DELIVERY_STATUSES), "status"),
        Index(None, "webhook_id", "id"),
        Index(
            "ix_webhook_deliveries_due",
            "next_try_at",
            postgresql_where=_PENDING,
            sqlite_where=_PENDING,
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(Id, ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(32))
    job_id: Mapped[str | None] = mapped_column(Id)
    body: Mapped[str] = mapped_column(Text, deferred=True)
    """As it is signed and sent, to the byte."""
    status: Mapped[str] = mapped_column(String(16), default="pending")
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    response_status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
