"""The text that a job's engine printed."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.tables import JobRow, LogChunkRow


class LogStore:
    """Logs by bytes, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def size(self, job_id: str) -> int:
        """Bytes kept; 0 for an unknown job."""
        query = select(JobRow.log_bytes).where(JobRow.id == job_id)
        return self._session.execute(query).scalar_one_or_none() or 0

    def read(self, job_id: str, start: int, end: int) -> bytes:
        """The bytes [start, end), as far as they are there."""
        chunks = self._session.execute(
            select(LogChunkRow.start, LogChunkRow.data)
            .where(LogChunkRow.job_id == job_id, LogChunkRow.start < end)
            .order_by(LogChunkRow.start)
        ).all()
        return b"".join(data[max(0, start - at) : max(0, end - at)] for at, data in chunks)
