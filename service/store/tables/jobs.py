"""Jobs, and what hangs on them: it goes when the job's row goes."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.contract.lifecycle import LEASED, STATUSES, JobStatus
from service.store.tables.base import Base, Digest, Id, one_of
from service.store.types import BigId

_QUEUED = text("status = 'queued'")
_LEASED = text(one_of("status", tuple(sorted(LEASED))))


def _of_job(*, primary_key: bool = True) -> Mapped[str]:
    return mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=primary_key)


class JobRow(Base):
    """A job. Only `moves.move` changes `status`."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("status", STATUSES), "status"),
        Index(None, "project", "id"),
        Index(None, "project", "status", "id"),
        Index(None, "project", "kind", "id"),
        Index(
            "ix_jobs_claim",
            "priority",
            "id",
            postgresql_where=_QUEUED,
            sqlite_where=_QUEUED,
        ),
        Index(
            "ix_jobs_share",
            "project",
            "status",
            "priority",
            "id",
            postgresql_where=_QUEUED,
            sqlite_where=_QUEUED,
        ),
        Index(
            "ix_jobs_exclusive",
            "queued_at",
            postgresql_where=text("status = 'queued' AND exclusive"),
            sqlite_where=text("status = 'queued' AND exclusive = 1"),
        ),
        Index(None, "project", "started_at"),
        Index(None, "finished_at"),
        Index("ix_jobs_leased", "project", postgresql_where=_LEASED, sqlite_where=_LEASED),
        Index("ix_jobs_lease", "lease_until", postgresql_where=_LEASED, sqlite_where=_LEASED),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[JobStatus] = mapped_column(String(16))
    name: Mapped[str | None] = mapped_column(Text)
    labels: Mapped[dict[str, Any]]
    search: Mapped[str] = mapped_column(Text, deferred=True)
    """Name and labels, case-folded: what `q` looks into."""
    spec: Mapped[dict[str, Any]]
    device: Mapped[str] = mapped_column(String(8))
    requires: Mapped[list[str]]
    priority: Mapped[int] = mapped_column(Integer)
    exclusive: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Takes times on a GPU: no other job may run on its worker meanwhile."""

    run: Mapped[int] = mapped_column(Integer, default=0)
    """Fencing token: grows with each claim, never shrinks."""
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    timeout_s: Mapped[float | None]
    lease_until: Mapped[datetime | None]
    worker_id: Mapped[str | None] = mapped_column(Id)
    """Who runs it, or ran it last."""
    next_run_at: Mapped[datetime]

    progress_step: Mapped[int] = mapped_column(default=0)
    progress_total: Mapped[int] = mapped_column(default=0)
    progress_phase: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    model_id: Mapped[str | None] = mapped_column(Id)
    retry_of: Mapped[str | None] = mapped_column(Id)
    resume_from: Mapped[str | None] = mapped_column(Id)
    request_id: Mapped[str | None] = mapped_column(String(64))
    """Of the request that made it: log lines of its worker carry it too."""
    traceparent: Mapped[str | None] = mapped_column(String(64))
    """Of that request, by W3C Trace Context."""

    event_seq: Mapped[int] = mapped_column(Integer, default=0)
    log_bytes: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    """When it first started."""
    run_started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    queue_seconds: Mapped[float] = mapped_column(default=0.0)
    """Time queued, the present wait not counted."""
    run_seconds: Mapped[float] = mapped_column(default=0.0)
    """Time run, the present run not counted."""


class JobLabelRow(Base):
    """A label of a job, by which to find it."""

    __tablename__ = "job_labels"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str] = mapped_column(String(128), primary_key=True)
    job_id: Mapped[str] = mapped_column(
        Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ReferenceRow(Base):
    """A job, model or dataset that a job's spec names."""

    __tablename__ = "job_references"

    job_id: Mapped[str] = _of_job()
    on_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)


class DependencyRow(Base):
    """A reference that is not ready yet: the job waits for it."""

    __tablename__ = "dependencies"

    job_id: Mapped[str] = _of_job()
    on_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)


class AttemptRow(Base):
    """One run of a job on one worker."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = _of_job()
    run: Mapped[int] = mapped_column(Integer, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    worker_id: Mapped[str] = mapped_column(Id)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    """The job's state after it."""
    error: Mapped[dict[str, Any] | None]


class EventRow(Base):
    """Something that happened. `id` orders all jobs' events, `seq` one job's, without gaps."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("job_id", "seq"),
        Index(None, "project", "id"),
        {"sqlite_autoincrement": True},  # an id is never given twice, also after a deletion
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = _of_job(primary_key=False)
    project: Mapped[str] = mapped_column(String(63))
    seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class MetricPointRow(Base):
    """A value of a series; a later run that passes the same step replaces it."""

    __tablename__ = "metric_points"

    job_id: Mapped[str] = _of_job()
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float]
    at: Mapped[datetime]


class MetricStretchRow(Base):
    """The extremes of a series within `width` steps from `start` on; see `stretches`."""

    __tablename__ = "metric_stretches"

    job_id: Mapped[str] = _of_job()
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    width: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(Integer)
    lowest: Mapped[float]
    lowest_step: Mapped[int]
    highest: Mapped[float]
    highest_step: Mapped[int]


class LogChunkRow(Base):
    """A piece of a job's log, from byte `start` on."""

    __tablename__ = "log_chunks"

    job_id: Mapped[str] = _of_job()
    start: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ArtifactRow(Base):
    """A file that a job made; checkpoints are the ones of that kind, with their step."""

    __tablename__ = "artifacts"
    __table_args__ = (Index(None, "job_id", "kind"), Index(None, "project", "kind", "name"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = _of_job(primary_key=False)
    project: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(32))
    media_type: Mapped[str] = mapped_column(String(128))
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(Digest, index=True)
    step: Mapped[int | None]
    created_at: Mapped[datetime]
