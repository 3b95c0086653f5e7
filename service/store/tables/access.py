"""Who may come in and how much it may have, what was answered before, and who works here."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.base import Base, Digest, Id


class KeyRow(Base):
    """A key, without its secret: only the secret's SHA-256 is kept."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]]
    secret_sha256: Mapped[str] = mapped_column(Digest, unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    rotated_to: Mapped[str | None] = mapped_column(Id)


class SessionRow(Base):
    """A browser that is signed in by a key. Its cookie's value is kept as a SHA-256 only."""

    __tablename__ = "sessions"

    secret_sha256: Mapped[str] = mapped_column(Digest, primary_key=True)
    key_id: Mapped[str] = mapped_column(Id, ForeignKey("keys.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyRow(Base):
    """The answer to a request that named an Idempotency-Key."""

    __tablename__ = "idempotency"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Digest)
    job_id: Mapped[str] = mapped_column(Id)
    status: Mapped[int] = mapped_column(Integer)
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class WorkerRow(Base):
    """A worker process. `tokens` are the capabilities that jobs `require`. `capabilities` are
    read from the database when they are asked for, in the session that read the row."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    hostname: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(8))
    slots: Mapped[int] = mapped_column(Integer)
    queues: Mapped[list[str]]
    # It may have thousands of names, and few who read the row want them.
    capabilities: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    tokens: Mapped[list[str]]
    draining: Mapped[bool]
    gpu_memory: Mapped[list[Any] | None]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)


class ProjectLimitsRow(Base):
    """What one project may have, where it differs from the settings; NULL: as the settings say."""

    __tablename__ = "project_limits"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    queued_jobs: Mapped[int | None]
    running_jobs: Mapped[int | None]
    stored_bytes: Mapped[int | None]
    updated_at: Mapped[datetime]


class ChoreRow(Base):
    """Work that one process of all does from time to time, and when it is due again."""

    __tablename__ = "chores"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    due_at: Mapped[datetime]
