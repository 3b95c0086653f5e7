"""What can go wrong between a caller and the rows.

StoreError
├── NotFound             no such row (or not in this project)
├── InvalidMove          the job's state does not allow it
├── Conflict             something else still needs the row, or a name is taken
└── DatabaseUnavailable  the database did not answer in time
"""

from service.contract.lifecycle import JobStatus


class StoreError(Exception):
    """Root of the store's errors."""


class NotFound(StoreError):
    """There is no such row, as far as this project can see."""

    def __init__(self, kind: str, id: str) -> None:  # noqa: A002
        super().__init__(f"no {kind} {id}")
        self.kind = kind
        self.id = id


class InvalidMove(StoreError):
    """A job in `status` cannot become `wanted`."""

    def __init__(self, job_id: str, status: JobStatus, wanted: str) -> None:
        super().__init__(f"{job_id} is {status}; it cannot become {wanted}")
        self.job_id = job_id
        self.status = status
        self.wanted = wanted


class Conflict(StoreError):
    """The row cannot change as asked, because of other rows."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class DatabaseUnavailable(StoreError):
    """No connection, no lock or no answer within the time-outs. Nothing was written."""
