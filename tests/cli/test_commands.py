"""The command line: help, exit codes, what is printed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.blobs import open_blobs
from service.cli.connect import DATA_DIR
from service.cli.main import app, main
from service.cli.spec_file import read_spec
from service.key_text import is_well_formed
from tests.cli.answering import Answering, serving
from tests.client.service_double import JOB, job, problem


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELPRESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MODELPRESS_URL", raising=False)
    monkeypatch.delenv("MODELPRESS_KEY", raising=False)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real HTTP server that knows one job and refuses one spec."""

    class Handler(Answering):
        def do_GET(self) -> None:
            if self.path == f"/v1/jobs/{JOB}":
                self.answer(200, json.dumps(job("running")).encode())
            elif self.path.startswith("/v1/jobs?"):
                listed = {"object": "list", "data": [job()], "has_more": False, "last_id": JOB}
                self.answer(200, json.dumps(listed).encode())
            else:
                self.answer(404, problem(404, "not_found").content)

        def do_POST(self) -> None:
            spec = self.body()
            if spec["kind"] == "train":
                self.answer(202, json.dumps(job(name=spec.get("name"))).encode())
            else:
                errors = [{"detail": "no such kind", "pointer": "#/kind"}]
                self.answer(422, problem(422, "invalid", errors=errors).content)

    with serving(Handler) as found:
        monkeypatch.setenv("MODELPRESS_URL", found)
        yield found


def run(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def commands() -> list[str]:
    return [
        "up", "demo", "api", "worker", "db upgrade", "health", "worker-health", "keys create",
        "keys list", "keys revoke", "keys rotate", "audit",
        "jobs submit", "jobs list", "jobs show", "jobs watch",
        "jobs events", "jobs metrics", "jobs checkpoints", "jobs artifacts", "jobs report",
        "jobs cancel", "jobs pause", "jobs resume", "jobs retry", "jobs logs", "jobs delete",
        "models push", "models pull", "models list", "models show",
        "models lineage", "models delete",
        "models compare", "comparisons list", "comparisons show", "comparisons report",
        "comparisons delete", "datasets delete", "workers", "queue", "capabilities", "login",
        "logout", "webhooks create",
        "webhooks list", "webhooks delete", "webhooks test", "webhooks rotate", "webhooks enable",
        "webhooks deliveries", "webhooks redeliver", "datasets push",
        "datasets list", "datasets show", "report", "compare", "recommend",
        "limits show", "limits set", "usage", "db gc",
    ]  # fmt: skip


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0, result.output


def test_help_documents_the_exit_codes() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "3 the service cannot be reached" in " ".join(shown.split())


def test_the_command_line_itself_imports_no_heavy_library() -> None:
    heavy = ["torch", "fastapi", "sqlalchemy", "celery", "alembic", "uvicorn", "worker"]
    program = f"import sys, service.cli.main; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_spec_is_submitted_from_yaml(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text("kind: train\nname: ja\n")
    assert run("jobs", "submit", "-f", "spec.yaml") == 0
    assert capsys.readouterr().out == f"{JOB}\n"


def test_json_is_printed_for_programs(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.json").write_text('{"kind": "train", "name": "mine"}')
    assert run("jobs", "submit", "-f", "spec.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert run("jobs", "list", "--json") == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [JOB]


def test_a_table_is_printed_for_people(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("jobs", "list") == 0
    shown = capsys.readouterr().out
    assert JOB in shown
    assert "queued" in shown


def test_a_refused_spec_names_the_field(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text("kind: shrink\n")
    assert run("jobs", "submit", "-f", "spec.yaml") == 1
    said = capsys.readouterr().err
    assert "#/kind: no such kind" in said
    assert "Traceback" not in said


def test_what_is_not_there_is_said_in_words(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("jobs", "show", "job_nope") == 1
    assert "not_found" in capsys.readouterr().err


def test_nobody_listening_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--url", "http://127.0.0.1:9", "health") == 3
    assert "modelpress up" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs", "frobnicate"),
        ("jobs", "submit"),
        ("jobs", "submit", "-f", "missing.yaml"),
        ("jobs", "list", "--label", "novalue"),
        ("--url", "modelpress.test", "health"),
        ("keys", "create", "--admin", "--read-only"),
        ("keys", "create", "--project", "No Such"),
        ("compare",),
        ("recommend", "mdl_a"),
        ("compare", "mdl_a", "mdl_b", "--targets", "min_speedup"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2


def test_fields_are_set_on_the_command_line(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text("kind: shrink\nname: old\n")
    changes = ("--set", "kind=train", "--set", "name=new", "--set", "training.epochs=3")
    assert run("jobs", "submit", "-f", "spec.yaml", *changes, "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "new"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training.epochs=3", {"training": {"epochs": 3}}),
        ("models.1=mdl_b", {"models": ["a", "mdl_b"]}),
        ("loss={name: kd}", {"loss": {"name": "kd"}}),
        ("name=", {"name": None}),
    ],
)
def test_a_change_is_read_as_yaml(tmp_path: Path, change: str, expected: dict[str, Any]) -> None:
    (tmp_path / "spec.yaml").write_text("kind: train\nmodels: [a, b]\n")
    spec = read_spec("spec.yaml", [change])
    assert spec == {"kind": "train", "models": ["a", "b"]} | expected


@pytest.mark.parametrize("change", ["kind", "=3", "kind.deeper=3", "models.7=x", "models.x=y"])
def test_a_change_without_a_place_is_wrong_usage(tmp_path: Path, change: str) -> None:
    (tmp_path / "spec.yaml").write_text("kind: train\nmodels: [a, b]\n")
    assert run("jobs", "submit", "-f", "spec.yaml", "--set", change) == 2


def test_a_spec_that_is_no_object_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("- train\n")
    assert run("jobs", "submit", "-f", "spec.yaml") == 2


def test_the_first_key_is_made_on_an_empty_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keys", "create", "--admin") == 0
    assert is_well_formed(capsys.readouterr().out.strip())
    assert (tmp_path / "data" / "modelpress.db").exists()


def test_the_database_can_be_upgraded_twice() -> None:
    assert run("db", "upgrade") == 0
    assert run("db", "upgrade") == 0


def test_a_machine_without_a_worker_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    run("db", "upgrade")
    assert run("worker-health") == 1
    assert "no worker" in capsys.readouterr().err


def test_the_default_folder_is_beside_the_caller() -> None:
    assert not DATA_DIR.is_absolute()


def test_blobs_that_nothing_names_are_counted_and_then_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELPRESS_DATA_DIR", str(tmp_path))
    assert run("db", "upgrade") == 0
    blobs = open_blobs(f"file://{tmp_path}/blobs", tmp_path / "staging")
    sha256 = blobs.put_bytes(b"12345").sha256
    os.utime(tmp_path / "blobs" / sha256[:2] / sha256[2:4] / sha256, (0, 0))
    blobs.put_bytes(b"young")
    capsys.readouterr()
    assert run("db", "gc", "--dry-run") == 0
    assert capsys.readouterr().out == "1 blobs of 5 B would be deleted.\n"
    assert blobs.exists(sha256)
    assert run("db", "gc") == 0
    assert capsys.readouterr().out == "1 blobs of 5 B deleted.\n"
    assert [blob.bytes for blob in blobs.list()] == [5]
    assert not blobs.exists(sha256)
