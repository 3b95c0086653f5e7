"""Uploaded files, by name within their project; and uploads on their way."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.errors import NotFound
from service.store.session import now
from service.store.sql import upsert
from service.store.tables import FileRow


class FileStore:
    """The files of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, project: str, name: str, sha256: str, size: int) -> FileRow:
        """Name a blob; what had the name before loses it."""
        values = {
            "project": project,
            "name": name,
            "sha256": sha256,
            "bytes": size,
            "created_at": now(self._session),
        }
        upsert(self._session, FileRow, [values])
        return self.get(project, name)

    def get(self, project: str, name: str) -> FileRow:
        """NotFound if there is none."""
        query = select(FileRow).where(FileRow.project == project, FileRow.name == name)
        row = self._session.execute(
            query.execution_options(populate_existing=True)
        ).scalar_one_or_none()
        if row is None:
            raise NotFound("file", name)
        return row

    def hold(self, project: str, name: str) -> FileRow:
        """As `get`; and until the transaction ends nobody deletes it, so that its blob is named all
        the while that another row takes it over."""
        query = select(FileRow).where(FileRow.project == project, FileRow.name == name)
        self._session.execute(query.with_for_update(read=True))
        return self.get(project, name)

    def list(self, project: str, limit: int, after: str | None = None) -> Sequence[FileRow]:
        """By name; `after` is the last name of the page before."""
        query = select(FileRow).where(FileRow.project == project)
        if after is not None:
            query = query.where(FileRow.name > after)
        return self._session.scalars(query.order_by(FileRow.name).limit(limit)).all()

    def delete(self, project: str, name: str) -> None:
        """Forget the name. What was registered from the file keeps its bytes."""
        self.get(project, name)
        self._session.execute(
            delete(FileRow).where(FileRow.project == project, FileRow.name == name)
        )
