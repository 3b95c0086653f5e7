"""Who did what."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.base import Base, Id, one_of

OUTCOMES = ("done", "unchanged", "failed", "refused")


class AuditRow(Base):
    """An entry of the audit log: written once, never changed. It names no row by a foreign key,
    since it outlives all of them."""

    __tablename__ = "audit"
    __table_args__ = (
        CheckConstraint(one_of("outcome", OUTCOMES), name="outcome"),
        Index(None, "project", "id"),
        Index(None, "key_id", "id"),
        Index(None, "target", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime]
    project: Mapped[str | None] = mapped_column(String(63))
    key_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(64))
    target: Mapped[str | None] = mapped_column(String(255))
    outcome: Mapped[str] = mapped_column(String(16))
    status: Mapped[int | None] = mapped_column(Integer)
    code: Mapped[str | None] = mapped_column(String(64))
    times: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
