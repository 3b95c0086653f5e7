"""What can go wrong for a caller of the service.

ClientError
├── Unreachable          no answer: nothing listens there, or the connection broke
├── UnexpectedAnswer     an answer, but not this service's: something else listens there
├── DigestMismatch       bytes arrived, but not the ones that were promised
├── UnsafeArchive        a downloaded folder names files outside itself
├── JobEnded             `wait` saw a job end without success
│   ├── JobFailed        … with an `error`
│   └── JobCancelled
└── ApiError             the service said no; `problem` has its words
    ├── BadRequest       400, and any other 4xx
    ├── Unauthorized     401
    ├── Forbidden        403
    ├── NotFound         404
    ├── Conflict         409
    ├── Gone             410
    ├── TooLarge         413
    ├── Unsupported      415
    ├── Invalid          422, with `errors` that point into the request
    ├── RateLimited      429
    ├── Internal         500
    ├── Unavailable      502, 503, 504
    └── NoSpace          507

`service.client.problems` has a class for every code below these.
"""

from service.contract.job_errors import JobError
from service.contract.wire import Problem, ProblemItem


class ClientError(Exception):
    """Anything this package raises, apart from `ValueError` for the caller's own mistakes."""


class Unreachable(ClientError):
    """The service gave no answer."""

    def __init__(self, url: str, cause: Exception) -> None:
        super().__init__(f"no answer from {url}: {cause or type(cause).__name__}")
        self.url = url


class UnexpectedAnswer(ClientError):
    """What answered does not speak as this service does."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"the answer of {url} is not one of Modelpress: {why}")
        self.url = url


class DigestMismatch(ClientError):
    """The bytes that arrived are not the ones that were promised; they were thrown away."""


class UnsafeArchive(ClientError):
    """A downloaded folder names a file outside itself; nothing was written."""


class JobEnded(ClientError):
    """A job that was waited for ended without success."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobFailed(JobEnded):
    """The job failed; `error` says why and what to do next."""

    def __init__(self, job_id: str, error: JobError) -> None:
        super().__init__(job_id, f"{job_id} failed ({error.code}): {error.message}")
        self.error = error


class JobCancelled(JobEnded):
    """The job was cancelled."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"{job_id} was cancelled")


class ApiError(ClientError):
    """The service refused; `problem` is its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(_in_words(problem))
        self.problem = problem

    @property
    def code(self) -> str:
        """The kind of problem, for programs."""
        return self.problem.code

    @property
    def errors(self) -> tuple[ProblemItem, ...]:
        """Each field of the request that was wrong, with a JSON pointer to it."""
        return self.problem.errors


class BadRequest(ApiError):
    """The request cannot be read, or not as it was sent."""


class Unauthorized(ApiError):
    """No key, or one that is unknown, revoked or expired."""


class Forbidden(ApiError):
    """The key's scopes are too small."""


class NotFound(ApiError):
    """There is no such thing in the key's project."""


class Conflict(ApiError):
    """The thing is in a state that does not allow it."""


class Gone(ApiError):
    """It was there; its bytes are not."""


class TooLarge(ApiError):
    """The body or file is larger than is taken."""


class Unsupported(ApiError):
    """Not a format that is taken; the message says what to send instead."""


class Invalid(ApiError):
    """The request can be read but not granted; see `errors`."""


class RateLimited(ApiError):
    """Too many requests."""


class Internal(ApiError):
    """A defect of the service."""


class Unavailable(ApiError):
    """The service, or what it stands on, does not work at the moment."""


class NoSpace(ApiError):
    """There is no room left where it would be kept."""


def _in_words(problem: Problem) -> str:
    fields = "".join(f"\n  {item.pointer}: {item.detail}" for item in problem.errors)
    return f"{problem.detail or problem.title} ({problem.code}){fields}"
