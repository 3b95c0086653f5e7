"""The client: one object from which everything else is reached."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, Unpack

import httpx2
from pydantic import BaseModel

from service.client.datasets import Datasets
from service.client.errors import UnexpectedAnswer, error_of
from service.client.events import Event, all_events
from service.client.http import Http, read_as
from service.client.jobs import Job, Jobs
from service.client.keys import Keys
from service.client.models import Models
from service.client.references import (
    DatasetLike,
    DistillOptions,
    JobOptions,
    ModelLike,
    PruneOptions,
    QuantizeOptions,
    RepeatOptions,
    StartingModelLike,
    dataset_reference,
    model_reference,
    starting_model,
    teachers,
)
from service.client.retry import Retry
from service.client.upload import Files
from service.contract.benchmark import Runtime
from service.contract.export import ExportFormat
from service.contract.losses import AnyLoss
from service.contract.specs import JobSpec
from service.contract.system import CapabilitiesRead, QueueRead, Ready, WorkerRead
from service.contract.training import TrainingSpec
from service.contract.wire import JobRead, Page, Validated

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_UNAVAILABLE: Final = 503

TrainingLike = TrainingSpec | Mapping[str, Any]
LossLike = AnyLoss | Mapping[str, Any]
SpecLike = JobSpec | Mapping[str, Any]


class Client:
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
        self.files = Files(self._http)
        self.keys = Keys(self._http)

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

    def train(
        self,
        model: StartingModelLike,
        dataset: DatasetLike,
        *,
        training: TrainingLike | None = None,
        **options: Unpack[RepeatOptions],
    ) -> Job:
        """Train a model from scratch, or one further."""
        return self.submit(
            _spec(
                "train",
                options,
                model=starting_model(model),
                dataset=dataset_reference(dataset),
                training=training,
            )
        )

    def distill(
        self,
        teacher: ModelLike | Sequence[ModelLike],
        student: StartingModelLike,
        dataset: DatasetLike,
        *,
        loss: LossLike | Sequence[LossLike] | None = None,
        training: TrainingLike | None = None,
        **options: Unpack[DistillOptions],
    ) -> Job:
        """Train a student from a teacher's outputs as well as from labels.

        `teacher` may be several, which then count alike. A job in the place of a model stands for
        the model it will make: chains are submitted at once and run in order.
        """
        return self.submit(
            _spec(
                "distill",
                options,
                **teachers(teacher),
                student=starting_model(student),
                dataset=dataset_reference(dataset),
                loss=loss,
                training=training,
            )
        )

    def prune(self, model: ModelLike, dataset: DatasetLike, **options: Unpack[PruneOptions]) -> Job:
        """Prune a model and repair it: half of its channels unless `method` says otherwise."""
        return self.submit(
            {
                "kind": "prune",
                "model": model_reference(model),
                "dataset": dataset_reference(dataset),
                **{name: _plain(value) for name, value in options.items()},
            }
        )

    def export(
        self,
        model: ModelLike,
        formats: Sequence[ExportFormat] = ("onnx",),
        dataset: DatasetLike | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Write a model in other formats, each compared with it on the validation split of
        `dataset`, else on random inputs. `Model.download(path, format=…)` fetches one."""
        return self.submit(
            _spec(
                "export",
                options,
                model=model_reference(model),
                formats=list(formats),
                dataset=None if dataset is None else dataset_reference(dataset),
            )
        )

    def quantize(
        self,
        model: ModelLike,
        dataset: DatasetLike,
        method: str | Mapping[str, Any] = "static_int8",
        **options: Unpack[QuantizeOptions],
    ) -> Job:
        """Quantise a model to a graph for ONNX Runtime; `method` by name, or with its options."""
        return self.submit(
            {
                "kind": "quantize",
                "model": model_reference(model),
                "dataset": dataset_reference(dataset),
                "method": {"name": method} if isinstance(method, str) else dict(method),
                **{name: _plain(value) for name, value in options.items()},
            }
        )

    def benchmark(
        self,
        models: Sequence[ModelLike],
        dataset: DatasetLike,
        *,
        batch_sizes: Sequence[int] | None = None,
        runtimes: Sequence[Runtime] | None = None,
        warmup_s: float | None = None,
        blocks: int | None = None,
        block_s: float | None = None,
        threads: int | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Measure models side by side; the first one is the baseline. Times are in seconds."""
        return self.submit(
            _spec(
                "benchmark",
                options,
                models=[model_reference(model) for model in models],
                dataset=dataset_reference(dataset),
                batch_sizes=None if batch_sizes is None else list(batch_sizes),
                runtimes=None if runtimes is None else list(runtimes),
                warmup_s=warmup_s,
                blocks=blocks,
                block_s=block_s,
                threads=threads,
            )
        )

    def submit(
        self, spec: SpecLike, *, idempotency_key: str | None = None, wait: float | None = None
    ) -> Job:
        """Queue a job. `wait` lets the service hold the answer up to 60 s for the job's end.

        Sent again after a broken connection it still makes one job, by a fresh idempotency key
        unless one is given.
        """
        headers = {"idempotency-key": idempotency_key or secrets.token_hex(16)}
        if wait is not None:
            headers["prefer"] = f"wait={round(wait)}"
        response = self._http.request(
            "POST",
            "/v1/jobs",
            json=_plain(spec),
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
            json=_plain(spec),
            repeatable=True,
        )
        return read_as(Validated, response).spec

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


def _spec(kind: str, options: JobOptions, **fields: object) -> dict[str, Any]:
    """The spec with the fields that were given; the service fills in the rest."""
    given = {name: _plain(value) for name, value in fields.items() if value is not None}
    return {"kind": kind, **given, **options}


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
