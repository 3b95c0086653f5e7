"""Finished jobs, found by what they name."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from service.store.tables import JobRow, ModelRow, ReferenceRow


def finished_users(
    session: Session, project: str, on_ids: Sequence[str], kind: str, limit: int
) -> list[str]:
    """The newest succeeded jobs of a kind that name one of `on_ids`: jobs, models, datasets."""
    naming = select(ReferenceRow.job_id).where(ReferenceRow.on_id.in_(on_ids))
    query = select(JobRow.id).where(
        JobRow.project == project,
        JobRow.kind == kind,
        JobRow.status == "succeeded",
        JobRow.id.in_(naming),
    )
    return list(session.scalars(query.order_by(JobRow.id.desc()).limit(limit)))


def finished_on(
    session: Session,
    project: str,
    on_ids: Sequence[str],
    architecture: str | None,
    kinds: Sequence[str],
    limit: int,
) -> list[str]:
    """Succeeded jobs of some kinds: those that name one of `on_ids`, then those that made their
    model from one of this architecture (None: no others); of each the newest first."""
    made, parent = aliased(ModelRow), aliased(ModelRow)
    is_named = JobRow.id.in_(select(ReferenceRow.job_id).where(ReferenceRow.on_id.in_(on_ids)))
    counts: ColumnElement[bool] = is_named
    if architecture is not None:
        from_alike = (
            select(made.job_id)
            .join(parent, made.parent_id == parent.id)
            .where(made.project == project, parent.architecture == architecture)
        )
        counts = is_named | JobRow.id.in_(from_alike)
    query = select(JobRow.id).where(
        JobRow.project == project,
        JobRow.kind.in_(kinds),
        JobRow.status == "succeeded",
        counts,
    )
    return list(session.scalars(query.order_by(is_named.desc(), JobRow.id.desc()).limit(limit)))
