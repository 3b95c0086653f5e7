"""From the end of a job to a run at a real MLflow server; `make .mlflow-venv/.installed` has it."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.blobs import BlobStore, open_blobs
from service.mlflow.errors import NotAnswered
from service.mlflow.exporter import Exporter
from service.mlflow.server import MlflowServer, Run, RunStatus
from service.store.events import EventStore
from service.store.session import Database
from tests.mlflow import jobs
from tests.mlflow.server_process import PROGRAM, mlflow_server
from tests.store.conftest import Watch
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="no MLflow here: make .mlflow-venv/.installed"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def database(tmp_path: Path, sqlite_tables: Path, watch: Watch) -> Iterator[Database]:
    shutil.copy(sqlite_tables, tmp_path / "test.db")
    opened = Database(f"sqlite:///{tmp_path / 'test.db'}", watch)
    jobs.expect(opened)
    yield opened
    opened.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return open_blobs(f"file://{tmp_path / 'blobs'}", tmp_path / "staging")


def ask(url: str, method: str, path: str, **given: Any) -> dict[str, Any]:
    answer = httpx2.request(method, f"{url}/api/2.0/{path}", trust_env=False, **given)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def runs_of(url: str, job_id: str) -> list[dict[str, Any]]:
    experiment = ask(
        url,
        "GET",
        "mlflow/experiments/get-by-name",
        params={"experiment_name": "modelpress/vision"},
    )["experiment"]["experiment_id"]
    asked = {
        "experiment_ids": [experiment],
        "filter": f"tags.`modelpress.job_id` = '{job_id}'",
    }
    found = ask(url, "POST", "mlflow/runs/search", json=asked)
    return list(found.get("runs", []))


Open = Callable[[MlflowServer], Exporter]


@pytest.fixture
def exporter(database: Database, blobs: BlobStore) -> Iterator[Open]:
    """Opens one, with a server of its own."""
    opened: list[Exporter] = []

    def open_(server: MlflowServer) -> Exporter:
        opened.append(Exporter(database, blobs, server, "modelpress/{project}"))
        return opened[-1]

    yield open_
    for sink in opened:
        sink.close()


def by_key(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["key"]: item["value"] for item in items}


def test_a_job_arrives_with_everything(
    url: str, database: Database, blobs: BlobStore, exporter: Open, watch: Watch
) -> None:
    job_id = jobs.succeeded(database, blobs)
    assert exporter(MlflowServer(url)).export_one()
    (run,) = runs_of(url, job_id)
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["end_time"] == int(watch.time.timestamp() * 1000)
    assert by_key(run["data"]["params"]) == {
        "kind": "distill",
        "seed": "7",
        "loss.kind": "kd",
        "loss.temperature": "4.0",
        "loss.alpha": "0.5",
        "layers": '["a", "b"]',
        "note": "n" * 6000,
    }
    tags = by_key(run["data"]["tags"])
    assert tags["mlflow.runName"] == "a student"
    assert tags["modelpress.label.team"] == "edge"
    assert (tags["modelpress.kind"], tags["modelpress.status"]) == ("distill", "succeeded")
    assert tags["modelpress.seed"] == "7"
    assert tags["modelpress.model_sha256"] == "a" * 64
    assert json.loads(tags["modelpress.lineage"]) == [tags["modelpress.parent_model"]]
    latest = by_key(run["data"]["metrics"])
    assert latest == {"loss": 1 / 1100, "test_accuracy": 0.9, "result.loss": 0.25}
    history = ask(
        url,
        "GET",
        "mlflow/metrics/get-history",
        params={"run_id": run["info"]["run_id"], "metric_key": "loss", "max_results": 10_000},
    )["metrics"]
    assert len(history) <= 1000
    assert {(0, 1.0), (1099, 1 / 1100)} <= {(int(m["step"]), m["value"]) for m in history}
    assert jobs.export_row(database, job_id).status == "succeeded"
    with database.read() as session:
        told = EventStore(session).list(job_id)[-1]
    page = f"{url}/#/experiments/{run['info']['experiment_id']}/runs/{run['info']['run_id']}"
    assert (told.type, told.data) == ("exported", {"to": "mlflow", "url": page})


@pytest.mark.long
def test_mlflows_own_client_fetches_the_registered_model(
    url: str, database: Database, blobs: BlobStore, exporter: Open, tmp_path: Path
) -> None:
    jobs.succeeded(database, blobs)
    assert exporter(MlflowServer(url)).export_one()
    subprocess.run(
        [
            *(PROGRAM, "artifacts", "download", "--dst-path", tmp_path / "got"),
            *("--artifact-uri", "models:/vision.a-student-1/1"),
        ],
        env={"MLFLOW_TRACKING_URI": url, "PATH": "/usr/bin"},
        check=True,
    )
    got = {path.name: path.read_bytes() for path in (tmp_path / "got").rglob("*") if path.is_file()}
    assert got == jobs.MODEL


class DiesAtTheEnd(MlflowServer):
    """A server whose last answer is lost, as it is when the process dies."""

    def end(self, run: Run, status: RunStatus, ended_ms: int) -> None:
        super().end(run, status, ended_ms)
        raise NotAnswered("runs/update: lost")


def test_what_was_written_by_a_try_that_died_is_not_written_twice(
    url: str, database: Database, blobs: BlobStore, exporter: Open, watch: Watch
) -> None:
    job_id = jobs.succeeded(database, blobs)
    assert not exporter(DiesAtTheEnd(url)).export_one()
    assert jobs.export_row(database, job_id).error == "runs/update: lost"
    watch.pass_(7)
    assert exporter(MlflowServer(url)).export_one()
    (run,) = runs_of(url, job_id)
    run_id = run["info"]["run_id"]
    found = ask(
        url, "GET", "mlflow/model-versions/search", params={"filter": f"run_id = '{run_id}'"}
    )
    (version,) = found["model_versions"]
    assert version["name"] == "vision.a-student-1"
    listed = ask(url, "GET", "mlflow/artifacts/list", params={"run_id": run_id, "path": "model"})
    assert {file["path"]: file["file_size"] for file in listed["files"]} == {
        f"model/{name}": len(data) for name, data in jobs.MODEL.items()
    }
    top = ask(url, "GET", "mlflow/artifacts/list", params={"run_id": run_id})["files"]
    assert [file["path"] for file in top] == ["model", "report.html"]  # and no logits
    history = ask(
        url,
        "GET",
        "mlflow/metrics/get-history",
        params={"run_id": run_id, "metric_key": "test_accuracy"},
    )
    assert len(history["metrics"]) == 1


def test_files_that_are_gone_are_left_out(
    url: str, database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    job_id = jobs.succeeded(database, blobs)
    nothing = open_blobs(f"file://{tmp_path / 'nothing'}", tmp_path / "staging2")
    sink = Exporter(database, nothing, MlflowServer(url), "modelpress/{project}")
    assert sink.export_one()
    sink.close()
    (run,) = runs_of(url, job_id)
    listed = ask(url, "GET", "mlflow/artifacts/list", params={"run_id": run["info"]["run_id"]})
    assert listed.get("files", []) == []


def test_jobs_that_came_to_nothing_are_failed_and_killed_runs(
    url: str, database: Database, blobs: BlobStore, exporter: Open
) -> None:
    killed = jobs.cancelled(database)
    failed = jobs.failed(database)
    sink = exporter(MlflowServer(url))
    assert sink.export_one()
    assert sink.export_one()
    assert not sink.export_one()
    (run,) = runs_of(url, killed)
    assert run["info"]["status"] == "KILLED"
    (run,) = runs_of(url, failed)
    assert run["info"]["status"] == "FAILED"
    assert by_key(run["data"]["tags"])["modelpress.error_code"] == "engine_crashed"


def test_a_server_that_was_down_gets_every_job_once_when_it_is_up(
    url: str, database: Database, blobs: BlobStore, exporter: Open, watch: Watch
) -> None:
    job_id = jobs.cancelled(database)
    down = exporter(MlflowServer("http://127.0.0.1:9"))
    assert not down.export_one()
    row = jobs.export_row(database, job_id)
    assert (row.status, row.tries) == ("pending", 1)
    assert "experiments/get-by-name" in (row.error or "")
    up = exporter(MlflowServer(url))
    assert not up.export_one()  # its wait is not over
    watch.pass_(7)
    up.start()
    second = exporter(MlflowServer(url))
    second.start()
    wait_until(lambda: jobs.export_row(database, job_id).status == "succeeded", 20, "the export")
    assert len(runs_of(url, job_id)) == 1
    assert jobs.export_row(database, job_id).tries == 2
