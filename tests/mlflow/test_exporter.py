"""What the exporter does when something comes between; the server is scripted, the rows are not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.blobs import BlobStore, open_blobs
from service.mlflow.exporter import Exporter
from service.mlflow.server import MlflowServer
from service.store.exports import ExportStore
from service.store.session import Database
from tests.mlflow import jobs

Answer = tuple[int, dict[str, Any]]
RUN = {"info": {"run_id": "r", "experiment_id": "1", "artifact_uri": "mlflow-artifacts:/1/r/a"}}
SAID: dict[str, Answer] = {
    "experiments/get-by-name": (200, {"experiment": {"experiment_id": "1"}}),
    "runs/search": (200, {}),
    "runs/create": (200, {"run": RUN}),
}


class Scripted(MlflowServer):
    """Says `SAID` and what a test adds; to all else, that it is done."""

    def __init__(self, **said: Callable[[], Answer]) -> None:
        super().__init__("http://mlflow.test")
        self.asked: list[tuple[str, Any]] = []
        self._said = said
        self._http.close()
        self._http = httpx2.Client(base_url=self.url, transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        name = request.url.path.removeprefix("/api/2.0/mlflow/")
        self.asked.append((name, json.loads(body) if body.startswith(b"{") else None))
        scripted = self._said.get(name.rpartition("/")[2].replace("-", "_"))
        status, said = scripted() if scripted is not None else SAID.get(name, (200, {}))
        return httpx2.Response(status, json=said)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return open_blobs(f"file://{tmp_path / 'blobs'}", tmp_path / "staging")


@pytest.fixture
def export(database: Database, blobs: BlobStore) -> Iterator[Callable[..., bool]]:
    """One try with a server."""
    jobs.expect(database)
    opened: list[Exporter] = []

    def export_(server: MlflowServer, lease_s: float = 60.0) -> bool:
        opened.append(Exporter(database, blobs, server, "e", lease_s=lease_s))
        return opened[-1].export_one()

    yield export_
    for sink in opened:
        sink.close()


def test_a_try_that_is_overtaken_while_it_sends_a_file_writes_nothing_more(
    database: Database, blobs: BlobStore, export: Callable[..., bool]
) -> None:
    job_id = jobs.succeeded(database, blobs)

    def overtake() -> Answer:
        with database.transaction() as session:
            assert ExportStore(session).claim(60.0) is not None
        return 200, {}

    server = Scripted(**{"report.html": overtake})
    assert not export(server, lease_s=0.0)  # its lease has lapsed when it has it
    assert server.names[-1].endswith("/report.html")
    row = jobs.export_row(database, job_id)
    assert (row.status, row.tries, row.error) == ("pending", 2, None)


def test_where_files_do_not_go_through_the_server_the_rest_is_written(
    database: Database, blobs: BlobStore, export: Callable[..., bool]
) -> None:
    job_id = jobs.succeeded(database, blobs)
    elsewhere = {"run": {"info": RUN["info"] | {"artifact_uri": "s3://bucket/1/r/artifacts"}}}
    server = Scripted(create=lambda: (200, elsewhere))
    assert export(server)
    assert set(server.names) == {*SAID, "runs/log-batch", "runs/update"}
    tags = [tag for _, body in server.asked if body for tag in body.get("tags", [])]
    (reason,) = [tag["value"] for tag in tags if tag["key"] == "modelpress.files_left_out"]
    assert "--serve-artifacts" in reason
    assert jobs.export_row(database, job_id).status == "succeeded"


def test_an_experiment_that_another_made_at_the_same_time_is_taken(
    database: Database, export: Callable[..., bool]
) -> None:
    jobs.cancelled(database)
    looks = iter(
        [(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}), SAID["experiments/get-by-name"]]
    )
    taken = (400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "it exists"})
    creates = iter([taken, SAID["runs/create"]])
    server = Scripted(get_by_name=lambda: next(looks), create=lambda: next(creates))
    assert export(server)
    assert server.names[:4] == [
        "experiments/get-by-name",
        "experiments/create",
        "experiments/get-by-name",
        "runs/search",
    ]


def test_an_answer_that_makes_no_sense_is_a_failed_try(
    database: Database, export: Callable[..., bool], caplog: pytest.LogCaptureFixture
) -> None:
    job_id = jobs.cancelled(database)
    assert not export(Scripted(create=lambda: (200, {"run": {}})))
    row = jobs.export_row(database, job_id)
    assert (row.status, row.lease_until, row.error) == ("pending", None, "KeyError: 'info'")
