"""The client: one object from which everything else is reached."""

import os
import secrets
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from service.client.audit import Audit
from service.client.comparisons import Comparisons
from service.client.datasets import Datasets
from service.client.errors import UnexpectedAnswer
from service.client.events import Event, all_events
from service.client.http import Http, read_as
from service.client.jobs import Job, Jobs
from service.client.keys import Keys
from service.client.kinds import Kinds, SpecLike, plain
from service.client.limits import Limits
from service.client.models import Models
from service.client.problems import error_of
from service.client.recommendations import ask, follow
from service.client.references import DatasetLike, ModelLike
from service.client.retry import Retry
from service.client.upload import Files
from service.client.webhooks import Webhooks
from service.contract.limits import UsageRead
from service.contract.prune import Targets
from service.contract.recommendations import Recommendation, Recommendations
from service.contract.specs import JobSpec
from service.contract.system import CapabilitiesRead, QueueRead, Ready, WorkerRead
from service.contract.wire import JobRead, Page, Validated

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_UNAVAILABLE: Final = 503


class Client(Kinds):
    """A service, seen through one key. Safe to share between threads.

    `url` and `key` default to MODELPRESS_URL and MODELPRESS_KEY. `timeout` is in seconds, per
    connection attempt and per read. `transport` replaces the network, as in tests. Specs are
    judged by the service: `Invalid` names the fields that are wrong.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
        retry: Retry = Retry(),  # noqa: B008  # frozen
    ) -> None:
        self._http = Http(
            url or os.environ.get("MODELPRESS_URL") or DEFAULT_URL,
            key or os.environ.get("MODELPRESS_KEY"),
            timeout_s=timeout,
            transport=transport,
            retry=retry,
        )
        self.jobs = Jobs(self._http)
        self.models = Models(self._http)
        self.datasets = Datasets(self._http)
        self.comparisons = Comparisons(self._http)
        self.files = Files(self._http)
        self.keys = Keys(self._http)
        self.audit = Audit(self._http)
        self.limits = Limits(self._http)
        self.webhooks = Webhooks(self._http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._http.url

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def submit(
        self, spec: SpecLike, *, idempotency_key: str | None = None, wait: float | None = None
    ) -> Job:
        """Queue a job of any kind, and wait up to `wait` seconds, 60 at most, for its end.

        Sent again after a broken connection it still makes one job, by a fresh idempotency key
        unless one is given.
        """
        headers = {"idempotency-key": idempotency_key or secrets.token_hex(16)}
        if wait is not None:
            headers["prefer"] = f"wait={round(wait)}"
        response = self._http.request(
            "POST",
            "/v1/jobs",
            json=plain(spec),
            headers=headers,
            repeatable=True,
            timeout_s=None if wait is None else wait + self._http.timeout_s,
        )
        return Job(self._http, read_as(JobRead, response))

    def validate(self, spec: SpecLike) -> JobSpec:
        """The spec with every default filled in; nothing is queued. Raises `Invalid`."""
        response = self._http.request(
            "POST",
            "/v1/jobs",
            params={"validate_only": "true"},
            json=plain(spec),
            repeatable=True,
        )
        return read_as(Validated, response).spec

    def recommend(
        self,
        model: ModelLike,
        dataset: DatasetLike,
        *,
        targets: Targets | Mapping[str, Any] | None = None,
    ) -> Recommendations:
        """What to do with a model, best first; nothing is run. Raises `NotFound`, `Conflict` for a
        job that is not finished, or `Invalid` for targets that no network keeps together."""
        return ask(self._http, model, dataset, targets)

    def follow(self, recommendation: Recommendation) -> list[Job]:
        """Queue the jobs of a recommendation, in their order and each after the one it needs."""
        return follow(recommendation, self.submit)

    def events(self) -> Iterator[Event]:
        """Changes of all jobs of the project from now on, without end."""
        return all_events(self._http)

    def capabilities(self) -> CapabilitiesRead:
        """What the workers alive can do, together."""
        return self._http.get(CapabilitiesRead, "/v1/capabilities")

    def workers(self) -> list[WorkerRead]:
        """The worker processes."""
        return list(self._http.pages(Page[WorkerRead], "/v1/workers"))

    def queue(self) -> QueueRead:
        """How much work there is."""
        return self._http.get(QueueRead, "/v1/queue")

    def usage(self) -> UsageRead:
        """What the key's project has, and what it may have."""
        return self._http.get(UsageRead, "/v1/usage")

    def is_alive(self) -> bool:
        """Whether the service's process answers, asked without a key. Raises as `health` does."""
        return self._http.request("GET", "/livez").is_success

    def metrics(self) -> str:
        """Figures for Prometheus, in its text format."""
        return self._http.request("GET", "/metrics").text

    def health(self) -> Ready:
        """How the service is, asked once and without a key. Raises `Unreachable` when nothing
        answers and `UnexpectedAnswer` when something else does."""
        response = self._http.request("GET", "/readyz", also=(_UNAVAILABLE,))
        try:
            return read_as(Ready, response)
        except UnexpectedAnswer:
            if response.is_success:
                raise
            raise error_of(response) from None  # of a proxy before it

    def is_ready(self) -> bool:
        """Whether the service can take jobs; raises as `health` does."""
        return self.health().status != "unavailable"
