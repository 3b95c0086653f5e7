"""What a server takes, and who is asked: nothing here needs one that is real."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError

from service.blobs import open_blobs
from service.config import Settings
from service.mlflow import words
from service.mlflow.errors import Refused
from service.mlflow.exporter import Exporter, exporter_of
from service.mlflow.server import Metric, MlflowServer, Run
from service.store.session import Database
from tests.mlflow import jobs
from tests.webhooks.receiver import receiving

RUN = Run("r", "1", "mlflow-artifacts:/1/r/artifacts", "1/r/artifacts")


class Told(MlflowServer):
    """Keeps what would be sent to a server that agrees with everything."""

    def __init__(self, url: str = "http://mlflow.test/base/") -> None:
        super().__init__(url)
        self.requests: list[httpx2.Request] = []
        self._http = httpx2.Client(base_url=self.url, transport=httpx2.MockTransport(self._agree))

    def _agree(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        return httpx2.Response(200, json={})


@pytest.fixture
def database(tmp_path: Path, sqlite_tables: Path) -> Iterator[Database]:
    shutil.copy(sqlite_tables, tmp_path / "test.db")
    opened = Database(f"sqlite:///{tmp_path / 'test.db'}")
    jobs.expect(opened)
    yield opened
    opened.close()


def test_names_and_values_are_cut_to_what_a_server_takes() -> None:
    assert words.key("a[0]:b c/d-é") == "a_0__b c/d-_"
    assert len(words.key("k" * 300)) == 250
    assert words.params({"a": {"b": None, "c": True}, "l": [1], "t": "x" * 9000}) == {
        "a.c": "true",
        "l": "[1]",
        "t": "x" * 6000,
    }
    assert words.tags({"kind": "train", "none": None, "inputs": [], "seed": 0}) == {
        "modelpress.kind": "train",
        "modelpress.seed": "0",
    }
    assert words.registered_name("p", "org/net:2") == "p.org-net-2"


def test_batches_keep_to_the_limits_of_a_server() -> None:
    server = Told()
    server.log(
        RUN,
        params={f"p{number}": "é" * 6000 for number in range(101)},
        tags={},
        metrics=[Metric("m", 0.5, step, 1) for step in range(1001)],
    )
    bodies = [json.loads(request.content) for request in server.requests]
    assert sum(len(body.get("params", [])) for body in bodies) == 101
    assert [len(body["metrics"]) for body in bodies if "metrics" in body] == [1000, 1]
    assert all(len(request.content) < 1_000_000 for request in server.requests)
    assert {str(request.url) for request in server.requests} == {
        "http://mlflow.test/base/api/2.0/mlflow/runs/log-batch"
    }


def test_a_file_is_sent_with_its_size_to_where_the_run_keeps_files() -> None:
    server = Told()
    server.put_file(RUN, "model/a b.json", iter([b"{", b"}"]), 2)
    (request,) = server.requests
    address = "http://mlflow.test/base/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/"
    assert (request.method, str(request.url)) == ("PUT", f"{address}model/a%20b.json")
    assert request.headers["content-length"] == "2"
    assert request.content == b"{}"


def test_a_server_in_trouble_is_asked_again_later(database: Database, tmp_path: Path) -> None:
    job_id = jobs.cancelled(database)
    blobs = open_blobs(f"file://{tmp_path / 'blobs'}", tmp_path / "staging")
    with receiving() as troubled:  # which knows no GET: 501
        server = MlflowServer(f"http://127.0.0.1:{troubled.port}")
        with pytest.raises(Refused, match="answered 501"):
            server.experiment("e")
        sink = Exporter(database, blobs, server, "e")
        assert not sink.export_one()
        assert not sink.export_one()  # it waits
    row = jobs.export_row(database, job_id)
    assert (row.status, row.tries, row.lease_until) == ("pending", 1, None)
    assert row.error is not None
    assert row.error.startswith("experiments/get-by-name: answered 501")


def test_a_setting_names_the_server_and_mlflows_own_variables_who_asks(
    monkeypatch: pytest.MonkeyPatch, database: Database, tmp_path: Path
) -> None:
    blobs = open_blobs(f"file://{tmp_path / 'blobs'}", tmp_path / "staging")
    assert exporter_of(Settings(), database, blobs, "1") is None
    monkeypatch.setenv("MODELPRESS_MLFLOW_TRACKING_URI", "http://127.0.0.1:5000/")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret-word")
    settings = Settings()
    assert settings.mlflow_tracking_uri == "http://127.0.0.1:5000"
    assert "secret-word" not in repr(settings)
    sink = exporter_of(settings, database, blobs, "1")
    assert sink is not None
    sink.close()
    for wrong in ("sqlite:///mlflow.db", "http://ada:word@host", "https://host/#/x"):
        with pytest.raises(ValidationError):
            Settings(mlflow_tracking_uri=wrong)
