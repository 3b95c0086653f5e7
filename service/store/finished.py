"""Finished jobs, found by what they name."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.tables import JobRow, ReferenceRow


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
