"""Comparisons: values that outlive the jobs they were gathered from."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.base import Base, Digest, Id


class ComparisonRow(Base):
    """A comparison. It names jobs and models in its body only: they may go, it stays."""

    __tablename__ = "comparisons"
    __table_args__ = (Index(None, "project", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ComparisonFileRow(Base):
    """A comparison as a page or picture, drawn when it was first asked for."""

    __tablename__ = "comparison_files"

    comparison_id: Mapped[str] = mapped_column(
        Id, ForeignKey("comparisons.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    sha256: Mapped[str] = mapped_column(Digest, index=True)
    bytes: Mapped[int]
