"""A tracking server, over its REST API: what is needed here, and each call may be made twice.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

import httpx2

from service.mlflow.errors import NotAnswered, Refused

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

JOB_TAG: Final = "modelpress.job_id"
_API: Final = "/api/2.0/mlflow"
_FILES: Final = "/api/2.0/mlflow-artifacts/artifacts"
_METRICS_AT_ONCE: Final = 1000  # the server's own limits on a batch
_PAIRS_AT_ONCE: Final = 100
_BATCH_BYTES: Final = 400_000  # of a million
_TIMEOUT: Final = httpx2.Timeout(60.0, connect=5.0)
_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class Run:
    """A run of an experiment. `folder` is where its files go through the server; None: they do not
    go through it."""

    id: str
    experiment_id: str
    artifact_uri: str
    folder: str | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A value at a step."""

    key: str
    value: float
    step: int
    timestamp_ms: int


class MlflowServer:
    """The server. Raises MlflowError."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        user: tuple[str, str] | None = None,
        agent: str = "Modelpress",
    ) -> None:
        """Makes no request yet. `user` is a name and a password."""
        self.url = url.rstrip("/")
        headers = {"user-agent": agent}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            auth=user if token is None else None,
            timeout=_TIMEOUT,
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def experiment(self, name: str) -> str:
        """The id of the experiment, which is made if it is not there."""
        found = self._experiment(name)
        if found is None:
            try:
                made = self._post("experiments/create", {"name": name})
                return str(made["experiment_id"])
            except Refused as error:
                if error.code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._experiment(name)
            assert found is not None, "it exists, says the server"
        return found

    def _experiment(self, name: str) -> str | None:
        try:
            found = self._get("experiments/get-by-name", {"experiment_name": name})
        except Refused as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return str(found["experiment"]["experiment_id"])

    def run_of(self, experiment_id: str, job_id: str) -> Run | None:
        """The run that an earlier try made for a job."""
        asked = {
            "experiment_ids": [experiment_id],
            "filter": f"tags.`{JOB_TAG}` = '{job_id}'",
            "max_results": 1,
            "order_by": ["attributes.start_time ASC"],
        }
        runs = self._post("runs/search", asked).get("runs", [])
        return self._run(runs[0]) if runs else None

    def create_run(self, experiment_id: str, name: str, job_id: str, started_ms: int) -> Run:
        """A run that is RUNNING until `end`."""
        asked = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": started_ms,
            "tags": _pairs({JOB_TAG: job_id}),
        }
        return self._run(self._post("runs/create", asked)["run"])

    def _run(self, run: dict[str, Any]) -> Run:
        info = run["info"]
        uri = str(info["artifact_uri"])
        return Run(str(info["run_id"]), str(info["experiment_id"]), uri, self._folder(uri))

    def _folder(self, artifact_uri: str) -> str | None:
        parts = urlsplit(artifact_uri)
        if parts.scheme == "mlflow-artifacts" and parts.netloc in ("", urlsplit(self.url).netloc):
            return parts.path.strip("/")
        return None

    def log(
        self,
        run: Run,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        metrics: Sequence[Metric],
    ) -> None:
        """Params that a run has already must have the same values."""
        for name, pairs in (("params", params), ("tags", tags)):
            for batch in _batches(_pairs(pairs), _PAIRS_AT_ONCE):
                self._post("runs/log-batch", {"run_id": run.id, name: batch})
        values = [
            {"key": m.key, "value": m.value, "step": m.step, "timestamp": m.timestamp_ms}
            for m in metrics
        ]
        for batch in _batches(values, _METRICS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": run.id, "metrics": batch})

    def put_file(self, run: Run, path: str, content: Iterator[bytes], size: int) -> None:
        """A file below the run's folder, in the place of one of that name."""
        assert run.folder is not None, "its files do not go through the server"
        address = f"{_FILES}/{quote(f'{run.folder}/{path}')}"
        self._send(
            f"artifact {path}",
            self._http.build_request(
                "PUT", address, content=content, headers={"content-length": str(size)}
            ),
        )

    def end(self, run: Run, status: RunStatus, ended_ms: int) -> None:
        """It is over."""
        self._post("runs/update", {"run_id": run.id, "status": status, "end_time": ended_ms})

    def register(self, name: str, run: Run, source: str, tags: Mapping[str, str]) -> None:
        """A version of a registered model, made once for a run."""
        try:
            self._post("registered-models/create", {"name": name})
        except Refused as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        asked = {"filter": f"run_id = '{run.id}'", "max_results": "100"}
        versions = self._get("model-versions/search", asked).get("model_versions", [])
        if not any(version["name"] == name for version in versions):
            made = {"name": name, "source": source, "run_id": run.id, "tags": _pairs(tags)}
            self._post("model-versions/create", made)

    def page_of(self, run: Run) -> str:
        """Where people look at a run."""
        return f"{self.url}/#/experiments/{run.experiment_id}/runs/{run.id}"

    def _get(self, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        return self._send(name, self._http.build_request("GET", f"{_API}/{name}", params=query))

    def _post(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send(name, self._http.build_request("POST", f"{_API}/{name}", json=body))

    def _send(self, what: str, request: httpx2.Request) -> dict[str, Any]:
        try:
            response = self._http.send(request)
        except httpx2.HTTPError as error:
            raise NotAnswered(f"{what}: {error or type(error).__name__}") from error
        try:
            said = response.json() if response.content else {}
        except ValueError:
            said = None
        if response.is_success and isinstance(said, dict):
            return said
        code = said.get("error_code") if isinstance(said, dict) else None
        text = said.get("message") if isinstance(said, dict) else response.text
        code = str(code or response.reason_phrase)
        raise Refused(what, response.status_code, code, str(text)[:_SHOWN])


def _pairs(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _batches(items: Sequence[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        item_bytes = len(json.dumps(item))
        if batch and (len(batch) == most or size + item_bytes > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item_bytes
    if batch:
        yield batch
