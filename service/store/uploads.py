"""Files on their way, in parts."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.contract.ids import new_id
from service.store.errors import NotFound
from service.store.session import now
from service.store.tables import UploadRow


class UploadStore:
    """The uploads of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, project: str, name: str, size: int, sha256: str | None) -> UploadRow:
        """Announce a file of `size` bytes."""
        moment = now(self._session)
        row = UploadRow(
            id=new_id("upl"),
            project=project,
            name=name,
            bytes=size,
            sha256=sha256,
            offset=0,
            created_at=moment,
            updated_at=moment,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def get(self, upload_id: str, project: str) -> UploadRow:
        """NotFound, also for another project's."""
        row = self._session.get(UploadRow, upload_id, populate_existing=True)
        if row is None or row.project != project:
            raise NotFound("upload", upload_id)
        return row

    def advance(self, upload_id: str, expected: int, offset: int) -> bool:
        """Move the offset from `expected`. False: somebody else did."""
        moved = self._session.execute(
            update(UploadRow)
            .where(UploadRow.id == upload_id, UploadRow.offset == expected)
            .values(offset=offset, updated_at=now(self._session))
            .returning(UploadRow.id)
            .execution_options(synchronize_session=False)
        ).first()
        return moved is not None

    def delete(self, upload_id: str) -> None:
        """Forget it; nothing happens if it is not there."""
        self._session.execute(delete(UploadRow).where(UploadRow.id == upload_id))

    def expired(self, before: datetime) -> Sequence[UploadRow]:
        """Uploads that nothing was added to since."""
        return self._session.scalars(select(UploadRow).where(UploadRow.updated_at < before)).all()
