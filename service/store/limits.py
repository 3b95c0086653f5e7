"""What a project may have at once, and what it has."""

from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, func, select, text, union
from sqlalchemy.orm import Session

from service.contract.lifecycle import LEASED
from service.store.session import dialect_of, now
from service.store.sql import spelled_out, upsert
from service.store.tables import (
    ArtifactRow,
    ComparisonFileRow,
    ComparisonRow,
    DatasetRow,
    FileRow,
    JobRow,
    ModelFileRow,
    ModelRow,
    ProjectLimitsRow,
    UploadRow,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one project; None: no limit, or, among a project's own, none of its own."""

    queued_jobs: int | None = None
    running_jobs: int | None = None
    stored_bytes: int | None = None

    def over(self, defaults: "Limits") -> "Limits":
        """These, and `defaults` where there is none."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(defaults, **{name: most for name, most in own.items() if most is not None})


class LimitStore:
    """Limits that projects have of their own, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def own(self, project: str) -> Limits:
        """Nothing but None for a project that has none."""
        own = ProjectLimitsRow
        query = select(own.queued_jobs, own.running_jobs, own.stored_bytes)
        row = self._session.execute(query.where(own.project == project)).one_or_none()
        return Limits() if row is None else Limits(*row)

    def set(self, project: str, limits: Limits) -> None:
        """In the place of those it had."""
        values = {field.name: getattr(limits, field.name) for field in fields(limits)}
        moment = now(self._session)
        upsert(
            self._session, ProjectLimitsRow, [{"project": project, **values, "updated_at": moment}]
        )


def alone(session: Session, what: str, project: str) -> None:
    """From here to the end of the transaction nobody else counts the same thing of the project, so
    that two who each find room for one do not both take it. SQLite has one writer at a time."""
    if dialect_of(session) == "postgresql":
        key = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
        session.execute(key, {"key": f"{what}:{project}"})


def waiting_jobs(session: Session, project: str) -> int:
    """Jobs that are queued, or paused and may be queued again without being asked for anew."""
    of_project = JobRow.project == project
    return _count(session, of_project, JobRow.status.in_(("queued", "paused")))


def running_jobs(session: Session, project: str) -> int:
    """Jobs that workers hold."""
    return _count(session, JobRow.project == project, spelled_out(JobRow.status, LEASED))


def stored_bytes(session: Session, project: str) -> int:
    """Bytes of what the project has stored, each blob once, and of uploads that are announced."""
    blobs = _blobs_of(project).subquery()
    kept = session.execute(select(func.coalesce(func.sum(blobs.c.bytes), 0))).scalar_one()
    announced = session.execute(
        select(func.coalesce(func.sum(UploadRow.bytes), 0)).where(UploadRow.project == project)
    ).scalar_one()
    return int(kept) + int(announced)


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.execute(select(func.count()).select_from(JobRow).where(*conditions)).scalar_one()


def _blobs_of(project: str) -> CompoundSelect[Any]:
    """(sha256, bytes) of every blob that a row of the project names."""
    return union(
        select(FileRow.sha256, FileRow.bytes).where(FileRow.project == project),
        select(ArtifactRow.sha256, ArtifactRow.bytes).where(ArtifactRow.project == project),
        select(ModelFileRow.sha256, ModelFileRow.bytes)
        .join(ModelRow, ModelRow.id == ModelFileRow.model_id)
        .where(ModelRow.project == project),
        select(DatasetRow.sha256, DatasetRow.bytes).where(
            DatasetRow.project == project, DatasetRow.sha256.is_not(None)
        ),
        select(ComparisonFileRow.sha256, ComparisonFileRow.bytes)
        .join(ComparisonRow, ComparisonRow.id == ComparisonFileRow.comparison_id)
        .where(ComparisonRow.project == project),
    )
