"""Jobs: handles that know what can be asked of one, and the list of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from service.client.download import OnBytes, download, download_folder
from service.client.errors import JobCancelled, JobFailed
from service.client.events import Event, job_events
from service.client.http import Http, read_as
from service.client.models import Model, Models
from service.client.progress import JobProgress, Line, chosen
from service.contract.job_errors import JobError
from service.contract.lifecycle import TERMINAL, JobStatus
from service.contract.specs import JobKind, JobResult
from service.contract.wire import (
    ArtifactRead,
    CheckpointRead,
    EventRead,
    JobRead,
    MetricSeries,
    MetricsRead,
    Page,
)

ReportFormat = Literal["json", "html", "md", "png", "svg"]


class Artifact:
    """A file that a job made."""

    def __init__(self, http: Http, data: ArtifactRead) -> None:
        self._http = http
        self.data = data

    @property
    def id(self) -> str:
        """The artifact's id."""
        return self.data.id

    @property
    def name(self) -> str:
        """Its file name."""
        return self.data.name

    def download(
        self, path: str | Path, *, progress: bool = False, on_bytes: OnBytes | None = None
    ) -> Path:
        """Write it to a file, its SHA-256 checked; a folder takes it under its own name."""
        target = Path(path)
        if target.is_dir():
            target /= Path(self.name).name
        return download(
            self._http,
            f"/v1/artifacts/{self.id}/content",
            target,
            sha256=self.data.sha256,
            on_bytes=chosen(on_bytes, progress, self.name),
        )


class Job:
    """A job as last seen; `refresh` looks again."""

    def __init__(self, http: Http, data: JobRead) -> None:
        self._http = http
        self.data = data

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.kind} {self.status}>"

    @property
    def id(self) -> str:
        """The job's id; specs take it wherever they take a model."""
        return self.data.id

    @property
    def kind(self) -> JobKind:
        """What kind of job."""
        return self.data.kind

    @property
    def status(self) -> JobStatus:
        """As last seen."""
        return self.data.status

    @property
    def result(self) -> JobResult | None:
        """What came out; None until it succeeded, and for jobs from a list until `refresh`."""
        return self.data.result

    @property
    def error(self) -> JobError | None:
        """Why it failed."""
        return self.data.error

    @property
    def is_done(self) -> bool:
        """Whether it was in a final state when last seen."""
        return self.status in TERMINAL

    @property
    def model(self) -> Model:
        """The model it made. Raises `ValueError` while there is none."""
        if self.data.model is None:
            self.refresh()
        if self.data.model is None:
            raise ValueError(f"{self.id} is {self.status} and has made no model")
        return Models(self._http).get(self.data.model)

    def download_model(
        self, path: str | Path, *, progress: bool = False, on_bytes: OnBytes | None = None
    ) -> Path:
        """Fetch the model it made into a folder that `modelpress.load` takes, as `job.model` does.

        Raises `NotFinished`, or `NotFound` where it made none.
        """
        on_bytes = chosen(on_bytes, progress, self.id)
        return download_folder(self._http, self._path("model"), Path(path), on_bytes=on_bytes)

    def refresh(self) -> "Job":
        """Look again; returns itself."""
        self.data = self._http.get(JobRead, self._path())
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happened so far, then what happens, up to the terminal event.

        Broken connections are resumed without loss or repetition.
        """
        return job_events(self._http, self.id, after=after)

    def history(self, after: int = 0) -> Iterator[EventRead]:
        """What happened so far, with times, fetched as it is reached; nothing is waited for."""
        params = {"after": after, "limit": 100}
        return self._http.pages(Page[EventRead], self._path("events"), params)

    def wait(
        self,
        timeout: float | None = None,
        on_event: Callable[[Event], None] | None = None,
        *,
        progress: bool = False,
    ) -> "Job":
        """Return itself once it has succeeded; `timeout` is in seconds.

        `progress` draws a line in a terminal or notebook, and writes one for each epoch elsewhere.

        Raises `JobFailed`, `JobCancelled`, or `TimeoutError`, which leaves the job running.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        shown = JobProgress(f"{self.kind} {self.id}", Line()) if progress else None
        for event in job_events(self._http, self.id, deadline=deadline):
            for hears in (shown, on_event):
                if hears is not None:
                    hears(event)
        self.refresh()
        if self.status == "cancelled":
            raise JobCancelled(self.id)
        if self.status == "failed":
            assert self.error is not None
            raise JobFailed(self.id, self.error)
        return self

    def cancel(self) -> "Job":
        """Ask it to stop. A queued job is cancelled at once, a running one within seconds."""
        return self._post("cancel")

    def pause(self) -> "Job":
        """Ask it to stop at a checkpoint and to wait for `resume`."""
        return self._post("pause")

    def resume(self) -> "Job":
        """Queue a paused job again; it goes on from its checkpoint."""
        return self._post("resume")

    def retry(self, start: Literal["checkpoint", "start"] = "checkpoint") -> "Job":
        """A new job with the same spec, from this one's newest checkpoint or from the start."""
        response = self._http.request("POST", self._path("retry"), params={"from": start})
        return Job(self._http, read_as(JobRead, response))

    def delete(self) -> None:
        """Delete an ended job with its artifacts."""
        self._http.request("DELETE", self._path())

    def metrics(
        self,
        names: Sequence[str] = (),
        max_points: int | None = None,
        after: int | None = None,
    ) -> tuple[MetricSeries, ...]:
        """Recorded series, all or those named, each thinned out to `max_points`; with `after`
        only what came above that step."""
        params = {"name": list(names) or None, "max_points": max_points, "after": after}
        return self._http.get(MetricsRead, self._path("metrics"), params).data

    def logs(self) -> str:
        """The log so far."""
        return self._http.request("GET", self._path("logs")).text

    def artifacts(self) -> list[Artifact]:
        """The files it made."""
        found = self._http.pages(Page[ArtifactRead], self._path("artifacts"))
        return [Artifact(self._http, data) for data in found]

    def checkpoints(self) -> list[CheckpointRead]:
        """The points from which it can go on."""
        return list(self._http.pages(Page[CheckpointRead], self._path("checkpoints")))

    def report(self, format: ReportFormat = "json") -> bytes:  # noqa: A002  # the API's word
        """The report on what was gained, as a file's bytes."""
        return self._http.request("GET", self._path("report"), params={"format": format}).content

    def _path(self, *parts: str) -> str:
        return "/".join(("/v1/jobs", self.id, *parts))

    def _post(self, verb: str) -> "Job":
        # Asking twice ends in the same state, so a broken answer may be asked for again.
        response = self._http.request("POST", self._path(verb), repeatable=True)
        self.data = read_as(JobRead, response)
        return self


class Jobs:
    """The jobs of the key's project."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, job_id: str) -> Job:
        """One job. Raises `NotFound`."""
        return Job(self._http, self._http.get(JobRead, f"/v1/jobs/{job_id}"))

    def list(
        self,
        *,
        status: JobStatus | None = None,
        kind: JobKind | None = None,
        label: tuple[str, str] | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
        page_size: int = 100,
    ) -> Iterator[Job]:
        """Jobs, newest first, fetched as they are reached.

        `label` is a key and its value; `q` is looked for in names and labels.
        """
        params: dict[str, Any] = {
            "status": status,
            "kind": kind,
            "label": None if label is None else "=".join(label),
            "q": q,
            "created_after": None if created_after is None else created_after.isoformat(),
            "limit": page_size,
        }
        for data in self._http.pages(Page[JobRead], "/v1/jobs", params):
            yield Job(self._http, data)
