"""The Python SDK: everything the HTTP interface offers, typed. Needs httpx2 and the contract."""

from service.client.client import Client
from service.client.comparisons import Comparison
from service.client.datasets import Dataset
from service.client.errors import (
    ApiError,
    ClientError,
    Conflict,
    DigestMismatch,
    Forbidden,
    Invalid,
    JobCancelled,
    JobEnded,
    JobFailed,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    UnsafeArchive,
)
from service.client.events import Event
from service.client.jobs import Artifact, Job
from service.client.models import Model
from service.client.retry import Retry

__all__ = [
    "ApiError",
    "Artifact",
    "Client",
    "ClientError",
    "Comparison",
    "Conflict",
    "Dataset",
    "DigestMismatch",
    "Event",
    "Forbidden",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobEnded",
    "JobFailed",
    "Model",
    "NotFound",
    "RateLimited",
    "Retry",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "UnsafeArchive",
]
