"""Jobs that are to be written to MLflow."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.base import Base, Id, one_of

EXPORT_STATUSES = ("pending", "succeeded", "failed")
_PENDING = text("status = 'pending'")
_FAILED = text("status = 'failed'")


class ExportRow(Base):
    """A job that ended while there was a sink. `tries` is its fencing token, as a delivery's."""

    __tablename__ = "mlflow_exports"
    __table_args__ = (
        CheckConstraint(one_of("status", EXPORT_STATUSES), "status"),
        Index(
            "ix_mlflow_exports_due",
            "next_try_at",
            postgresql_where=_PENDING,
            sqlite_where=_PENDING,
        ),
        Index("ix_mlflow_exports_failed", "job_id", postgresql_where=_FAILED, sqlite_where=_FAILED),
    )

    job_id: Mapped[str] = mapped_column(
        Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    status: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    """The run, where people look at it."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
