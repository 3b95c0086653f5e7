"""The README, the tutorial and the Python of the how-tos are run on the real stack."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from modelpress import Client
from service.client import Job
from service.embedded import Stack
from service.webhooks.signing import new_secret, signed_headers
from tests.documents.blocks import ROOT, blocks
from tests.documents.script import program, run
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build

SECONDS = 170  # below the limit of a test, so that it says how far it came


def python_of(page: str) -> str:
    """All Python of a how-to, as one program."""
    found = blocks(ROOT / "docs/how-to" / page)
    return "\n".join(block.text for block in found if block.language == "python")


@pytest.fixture(scope="module")
def made(stack: Stack, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """The jobs of the tutorial, with one epoch each and a small network."""
    folder = tmp_path_factory.mktemp("tutorial")
    page = ROOT / "docs/tutorial.md"
    said = run(program(page), folder, url=stack.url, key=stack.key, timeout_s=SECONDS)
    assert f"{stack.url} is ready" in said
    assert "of all 1797 digits are read right" in said
    written = {path.name for path in folder.iterdir()}
    assert {"benchmark.html", "student.md", "pruned.md", "small.md", "small"} <= written
    names = ("teacher", "student", "pruned", "small", "teacher against small")
    jobs = {job.data.name: job for job in client.jobs.list()}
    return {name: jobs[name] for name in names}


def test_the_tutorial_runs_as_it_is_printed(made: dict[str, Job]) -> None:
    assert [job.status for job in made.values()] == ["succeeded"] * 5
    teacher, small = (made[name].model.data for name in ("teacher", "small"))
    assert small.form == "graph"
    assert small.size_bytes is not None
    assert teacher.size_bytes is not None
    assert small.size_bytes < teacher.size_bytes / 4  # a byte for four, and fewer of them


@pytest.mark.long  # every line of it is held against contract and routes in tests/documents
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_readme_runs_as_it_is_printed(stack: Stack, client: Client, tmp_path: Path) -> None:
    page = ROOT / "README.md"
    said = run(program(page), tmp_path, url=stack.url, key=stack.key, timeout_s=600)
    assert "tensor(" in said
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    for folder in ("student", "student-from-sdk", "pulled"):
        assert (tmp_path / folder / "model.safetensors").exists()


def test_the_python_of_the_how_tos_runs(
    made: dict[str, Job],
    stack: Stack,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELPRESS_URL", stack.url)
    monkeypatch.setenv("MODELPRESS_KEY", stack.key)
    teacher, student = made["teacher"], made["student"]
    client.export(student, ["onnx"]).wait(timeout=120)
    names = {"client": client, "model": student.model, "teacher": teacher, "student": student}

    _run("export.md", names)
    assert Path("model.onnx").stat().st_size > 0
    _run("compare.md", names)
    assert Path("comparison.html").exists()
    student.model.download("student")
    _run("hugging-face.md", names)
    _run("sdk.md", names)["client"].close()
    assert Path("report.html").stat().st_size > 0
    followed = _run("choose-a-method.md", names)["jobs"]
    for job in reversed(followed):
        job.cancel()

    mean, std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
    config = ModelConfig("torchvision/resnet18", 10, (3, 32, 32), mean, std)
    torch.save(build(config).state_dict(), "net.pt")
    Path("model.onnx").rename("teacher.onnx")
    brought = _run("bring-your-own-model.md", names)
    assert brought["model"].data.status == "ready"
    assert brought["teacher"].data.form == "graph"
    brought["client"].close()


def test_the_python_of_webhooks_takes_what_is_sent() -> None:
    secret, body = new_secret(), b'{"type": "job.succeeded"}'
    headers = signed_headers("msg_1", int(time.time()), body, [secret])
    names = _run("webhooks.md", {"secret": secret, "body": body.decode(), "headers": headers})
    assert names["message"]["type"] == "job.succeeded"


@pytest.mark.long
def test_the_tutorial_at_full_length_reaches_what_it_says(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    text = program(ROOT / "docs/tutorial.md", change=str)
    said = run(text, tmp_path, url=stack.url, key=stack.key, timeout_s=1800)
    assert "1 of 2 models keep every target" in said  # six times faster, a point at most
    newest = next(job for job in client.jobs.list() if job.data.name == "small")
    assert newest.data.metrics["test_accuracy"] > 0.95


def _run(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """What the page's Python leaves behind; `names` are what its reader has already."""
    left = dict(names)
    exec(compile(python_of(page), page, "exec"), left)
    return left
