"""Models, datasets, files: what jobs take and make."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.base import Base, Digest, Id, one_of

CHECK_STATUSES = ("checking", "ready", "rejected")
_CHECKING = text("status = 'checking'")


class Checked:
    """Columns of a resource whose content a worker looks at before anyone may use it.

    `check_run` is the fencing token of the check, as `run` is a job's.
    """

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[dict[str, Any] | None]
    source_sha256: Mapped[str | None] = mapped_column(Digest, index=True)
    """The upload, until the check is done."""
    check_run: Mapped[int] = mapped_column(Integer, default=0)
    check_attempts: Mapped[int] = mapped_column(Integer, default=0)
    check_lease_until: Mapped[datetime | None]
    checked_by: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime]


class ModelRow(Checked, Base):
    """A model. Its bytes are the blobs of `model_files`."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint(one_of("status", CHECK_STATUSES), "status"),
        CheckConstraint(one_of("form", ("weights", "graph")), "form"),
        Index(None, "project", "id"),
        Index("ix_models_checking", "id", postgresql_where=_CHECKING, sqlite_where=_CHECKING),
    )

    form: Mapped[str] = mapped_column(String(16))
    source: Mapped[str | None] = mapped_column(String(16))
    architecture: Mapped[str | None] = mapped_column(String(128))
    options: Mapped[dict[str, Any]]
    classes: Mapped[int | None] = mapped_column(Integer)
    input_size: Mapped[list[Any] | None]
    normalisation: Mapped[dict[str, Any] | None]
    labels: Mapped[list[Any] | None]
    parameters: Mapped[int | None]
    macs: Mapped[int | None]
    size_bytes: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(Digest)
    notes: Mapped[list[Any]] = mapped_column(default=list)
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    parent_id: Mapped[str | None] = mapped_column(
        Id, ForeignKey("models.id", ondelete="SET NULL"), index=True
    )
    job_id: Mapped[str | None] = mapped_column(
        Id, ForeignKey("jobs.id", ondelete="SET NULL"), index=True
    )


class ModelFileRow(Base):
    """A file of a model's folder. `crc32` lets a zip of the folder be laid out unread."""

    __tablename__ = "model_files"

    model_id: Mapped[str] = mapped_column(
        Id, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    sha256: Mapped[str] = mapped_column(Digest, index=True)
    bytes: Mapped[int]
    crc32: Mapped[int]


class DatasetRow(Checked, Base):
    """A dataset. Its bytes are one blob, `sha256`, in canonical form; `digest` is over arrays."""

    __tablename__ = "datasets"
    __table_args__ = (
        CheckConstraint(one_of("status", CHECK_STATUSES), "status"),
        Index(None, "project", "id"),
        Index("ix_datasets_checking", "id", postgresql_where=_CHECKING, sqlite_where=_CHECKING),
    )

    format: Mapped[str] = mapped_column(String(32))
    validation_share: Mapped[float]
    image_size: Mapped[int | None] = mapped_column(Integer)
    undecodable_share: Mapped[float] = mapped_column(default=0.01)
    source: Mapped[str | None] = mapped_column(String(63))
    path: Mapped[str | None] = mapped_column(Text)
    seed: Mapped[int]
    classes: Mapped[int | None] = mapped_column(Integer)
    input_size: Mapped[list[Any] | None]
    labels: Mapped[list[Any] | None]
    splits: Mapped[dict[str, Any] | None]
    class_counts: Mapped[dict[str, Any] | None]
    normalisation: Mapped[dict[str, Any] | None]
    findings: Mapped[dict[str, Any] | None]
    contact_sheet_sha256: Mapped[str | None] = mapped_column(Digest, index=True)
    digest: Mapped[str | None] = mapped_column(Digest)
    sha256: Mapped[str | None] = mapped_column(Digest, index=True)
    bytes: Mapped[int | None]


class FileRow(Base):
    """An uploaded file, by name within its project."""

    __tablename__ = "files"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    sha256: Mapped[str] = mapped_column(Digest, index=True)
    bytes: Mapped[int]
    created_at: Mapped[datetime]


class UploadRow(Base):
    """A file on its way."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(128))
    bytes: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(Digest)
    offset: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)
