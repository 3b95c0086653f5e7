"""Files that jobs made."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.errors import NotFound
from service.store.tables import ArtifactRow


class ArtifactStore:
    """Reads artifacts; they are written with the finish or the checkpoint."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, artifact_id: str, project: str) -> ArtifactRow:
        """NotFound, also for another project's."""
        row = self._session.get(ArtifactRow, artifact_id)
        if row is None or row.project != project:
            raise NotFound("artifact", artifact_id)
        return row

    def hold(self, artifact_id: str, project: str) -> ArtifactRow:
        """As `get`; and until the transaction ends nobody deletes it, so that its blob is named all
        the while that a copy of the row is being made."""
        query = select(ArtifactRow).where(ArtifactRow.id == artifact_id).with_for_update(read=True)
        self._session.execute(query)
        return self.get(artifact_id, project)

    def list(self, job_id: str) -> Sequence[ArtifactRow]:
        """All but checkpoints, in the order in which they were stored."""
        query = select(ArtifactRow).where(
            ArtifactRow.job_id == job_id, ArtifactRow.kind != "checkpoint"
        )
        return self._session.scalars(query.order_by(ArtifactRow.id)).all()

    def checkpoints(self, job_id: str) -> Sequence[ArtifactRow]:
        """Newest first."""
        query = select(ArtifactRow).where(
            ArtifactRow.job_id == job_id, ArtifactRow.kind == "checkpoint"
        )
        # ids made in one millisecond do not tell which came first
        newest = (ArtifactRow.created_at.desc(), ArtifactRow.step.desc(), ArtifactRow.id.desc())
        return self._session.scalars(query.order_by(*newest)).all()

    def named(self, job_id: str, name: str) -> ArtifactRow | None:
        """The artifact of a job by file name."""
        query = select(ArtifactRow).where(ArtifactRow.job_id == job_id, ArtifactRow.name == name)
        return self._session.scalars(query.limit(1)).one_or_none()

    def newest(self, project: str, kind: str, name: str) -> ArtifactRow | None:
        """The last one of that kind and name that any job of the project left."""
        query = select(ArtifactRow).where(
            ArtifactRow.project == project, ArtifactRow.kind == kind, ArtifactRow.name == name
        )
        newest = (ArtifactRow.created_at.desc(), ArtifactRow.id.desc())
        return self._session.scalars(query.order_by(*newest).limit(1)).one_or_none()
