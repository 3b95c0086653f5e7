"""The Python SDK: everything the HTTP interface offers, typed. Needs httpx2 and the contract."""

from service.client.client import Client
from service.client.comparisons import Comparison
from service.client.datasets import Dataset
from service.client.errors import (
    ApiError,
    BadRequest,
    ClientError,
    Conflict,
    DigestMismatch,
    Forbidden,
    Gone,
    Internal,
    Invalid,
    JobCancelled,
    JobEnded,
    JobFailed,
    NoSpace,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    UnsafeArchive,
    Unsupported,
)
from service.client.events import Event
from service.client.jobs import Artifact, Job
from service.client.models import Model
from service.client.retry import Retry

__all__ = [
    "ApiError",
    "Artifact",
    "BadRequest",
    "Client",
    "ClientError",
    "Comparison",
    "Conflict",
    "Dataset",
    "DigestMismatch",
    "Event",
    "Forbidden",
    "Gone",
    "Internal",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobEnded",
    "JobFailed",
    "Model",
    "NoSpace",
    "NotFound",
    "RateLimited",
    "Retry",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "UnsafeArchive",
    "Unsupported",
]
