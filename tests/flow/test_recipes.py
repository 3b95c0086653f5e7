"""The recipes for other platforms, run on the real stack: their shell, and their Python."""

from pathlib import Path

import pytest

from modelpress import Client
from service.client import Job
from service.embedded import Stack
from tests.documents.recipes import AirflowFailException, airflow, github_steps, printed
from tests.documents.script import run, shorter

pytestmark = pytest.mark.long  # a minute: three jobs, each measured


@pytest.fixture(scope="module")
def trained(client: Client) -> Job:
    """One epoch: enough to be compressed."""
    return client.train(
        {"architecture": "cnn_student"}, "digits", training={"epochs": 1}, name="for the recipes"
    ).wait(timeout=120)


def test_the_steps_for_github_leave_model_and_report(
    trained: Job, stack: Stack, tmp_path: Path
) -> None:
    steps = {step["name"]: step["run"] for step in github_steps() if "run" in step}
    given = [
        f"export MODEL={trained.id} DATASET=digits GITHUB_RUN_ID={trained.id} GITHUB_RUN_ATTEMPT=1",
        "export GITHUB_OUTPUT=output GITHUB_STEP_SUMMARY=summary",
        "set -eo pipefail",  # as GitHub's bash is called
        steps["Submit"],
        'JOB=$(sed "s/^job=//" output)',
        steps["Wait"],
        steps["Keep the model and the report"],
    ]
    text = shorter("\n".join(given)).replace("targets: {max_accuracy_drop_points: 1.0}", "seed: 1")
    run(text, tmp_path, url=stack.url, key=stack.key, timeout_s=120)
    assert (tmp_path / "compressed" / "config.json").exists()
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert (tmp_path / "summary").read_text("utf-8") == (tmp_path / "report.md").read_text("utf-8")


def test_the_dag_for_airflow_downloads_what_it_waited_for(
    trained: Job, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPRESS_URL", stack.url)
    monkeypatch.setenv("MODELPRESS_KEY", stack.key)
    monkeypatch.setenv("COMPRESSED_MODELS", str(tmp_path))
    quick = '"kind": "quantize", "latency_batch_sizes": [],'
    text = printed("airflow.md", "py").replace('"kind": "quantize",', quick)
    sensed: list[object] = []
    with airflow({"model": trained.id, "dataset": "digits"}, sensed):
        exec(compile(text, "compress.py", "exec"), {})
    assert set(sensed) <= {True, False}
    assert sensed[-1] is True
    [folder] = tmp_path.iterdir()
    assert folder.name.startswith("job_")
    assert (folder / "model" / "config.json").exists()
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")


def test_the_dag_fails_with_the_code_where_a_promise_is_not_kept(
    trained: Job, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPRESS_URL", stack.url)
    monkeypatch.setenv("MODELPRESS_KEY", stack.key)
    monkeypatch.setenv("COMPRESSED_MODELS", str(tmp_path))
    text = printed("airflow.md", "py").replace('"kind": "quantize",', '"kind": "prune",')
    text = text.replace('"method": {"name": "static_int8"},', '"latency_batch_sizes": [],')
    text = text.replace(
        '"max_accuracy_drop_points": 1.0', '"macs": 0.1, "max_accuracy_drop_points": 0'
    )
    text = text.replace("compress {context", "another {context")
    with (
        airflow({"model": trained.id, "dataset": "digits"}, []),
        pytest.raises(AirflowFailException, match="target_not_reached"),
    ):
        exec(compile(text, "compress.py", "exec"), {})
    assert list(tmp_path.iterdir()) == []
