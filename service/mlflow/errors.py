"""Why a job could not be written to MLflow.

MlflowError
├── NotAnswered   nobody there, or no answer in time
└── Refused       an answer that is no success
"""


class MlflowError(Exception):
    """Root of the errors of this package."""


class NotAnswered(MlflowError):
    """The server could not be asked."""


class Refused(MlflowError):
    """The server said no. `code` is MLflow's own, or the HTTP status where it gave none."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        super().__init__(f"{what}: answered {status} ({code}): {message}")
        self.status = status
        self.code = code
