"""Ids that the shell completes on TAB: those of the newest things there are."""

from collections.abc import Callable, Iterator
from itertools import islice

from service.cli.connect import client_for
from service.client import Client, ClientError, Job

_MOST = 30
_PATIENCE_S = 1.0

Found = Iterator[tuple[str, str]]


def jobs(incomplete: str) -> list[tuple[str, str]]:
    """Ids of jobs, each with what it is."""
    return _ids(incomplete, lambda client: ((job.id, _of(job)) for job in client.jobs.list()))


def models(incomplete: str) -> list[tuple[str, str]]:
    """Ids of models with their names."""
    return _ids(incomplete, lambda client: ((m.id, m.data.name) for m in client.models.list()))


def datasets(incomplete: str) -> list[tuple[str, str]]:
    """Ids of datasets with their names."""
    return _ids(incomplete, lambda client: ((d.id, d.data.name) for d in client.datasets.list()))


def _of(job: Job) -> str:
    return f"{job.kind} {job.status} {job.data.name or ''}".rstrip()


def _ids(incomplete: str, found: Callable[[Client], Found]) -> list[tuple[str, str]]:
    """Nothing where the service does not answer at once: a shell that waits is worse."""
    try:
        with client_for(None, None, timeout=_PATIENCE_S, tries=1) as client:
            return [pair for pair in islice(found(client), _MOST) if pair[0].startswith(incomplete)]
    except (ClientError, OSError, ValueError):
        return []
