"""The first job, end to end: real processes, real broker, real database, files that reload."""

import json
from pathlib import Path

import pytest
import torch

import modelpress
from modelpress import Client
from service.client import ApiError, Invalid, JobFailed
from service.contract.benchmark import BenchmarkResult
from service.contract.distill import DistillResult
from service.contract.train import TrainResult
from service.embedded import Stack
from tests.waiting import wait_until
from worker.engine.data.batches import Normalizer
from worker.engine.data.builtin import digits
from worker.engine.models.folder import load_folder

MLP = {"architecture": "mlp", "options": {"hidden": [32]}}
LONG = {
    "kind": "train",
    "model": {"architecture": "cnn_student"},
    "dataset": "digits",
    "training": {"epochs": 2000},
}


def test_a_chain_submitted_at_once_runs_in_order_and_says_what_was_gained(
    client: Client, tmp_path: Path
) -> None:
    teacher = client.submit(
        {"kind": "train", "model": {"architecture": "mlp", "options": {"hidden": [128]}},
         "dataset": "digits", "training": {"epochs": 8}}
    )  # fmt: skip
    student = client.submit(
        {"kind": "distill", "teacher": teacher.id, "student": MLP, "dataset": "digits",
         "training": {"epochs": 8}, "latency_batch_sizes": []}
    )  # fmt: skip
    measured = client.submit(
        {"kind": "benchmark", "models": [teacher.id, student.id], "dataset": "digits",
         "batch_sizes": [1], "runtimes": ["eager", "onnxruntime"], "blocks": 2, "executions": 1,
         "block_s": 0.02, "warmup_s": 0.0}
    )  # fmt: skip
    assert measured.refresh().data.waiting_for  # it waits for both

    measured.wait(timeout=120)

    trained = teacher.refresh().result
    distilled = student.refresh().result
    result = measured.result
    assert isinstance(trained, TrainResult)
    assert isinstance(distilled, DistillResult)
    assert isinstance(result, BenchmarkResult)
    # 3072·h + h, then h·10 + 10
    assert trained.facts.parameters == 3072 * 128 + 128 + 128 * 10 + 10
    assert distilled.facts.parameters == 3072 * 32 + 32 + 32 * 10 + 10
    assert trained.test.accuracy > 0.8
    assert distilled.teacher.model == trained.model
    assert set(distilled.history[0].losses) == {"total", "hard", "soft"}
    assert result.baseline == trained.model
    assert measured.data.progress is not None
    assert measured.data.progress.fraction == 1.0
    config = json.loads((student.model.download(tmp_path / "s") / "config.json").read_text())
    assert [step["teacher"] for step in config["compression"]] == [trained.model]
    assert result.models[1].speedups
    assert [len(row.latencies) for row in result.models] == [2, 2]
    assert result.models[1].test.correct == distilled.test.correct  # the same file, measured twice
    lineage = student.model.lineage()
    assert [model.id for model in lineage.ancestors] == [trained.model]

    compared = client.comparisons.create([teacher, student], targets={"parameters": 0.5})
    assert compared.values.baseline == trained.model
    row = compared.values.models[1]
    assert row.test is not None
    assert row.test.correct == distilled.test.correct
    assert {one.runtime for one in row.latencies} >= {"eager", "onnxruntime"}
    paired = {one.runtime: one.speedup for one in row.latencies if one.job == measured.id}
    assert all(one is not None and one.low is not None for one in paired.values())
    assert row.verdict is not None
    assert row.verdict.outcome == "met"  # a quarter of the parameters
    assert compared.report("html").startswith(b"<!doctype html>")
    measured.delete()
    assert client.comparisons.get(compared.id).data == compared.data


def test_a_downloaded_model_gives_the_outputs_that_were_judged(
    client: Client, tmp_path: Path
) -> None:
    job = client.submit(
        {"kind": "train", "model": MLP, "dataset": "digits", "training": {"epochs": 3}}
    ).wait(timeout=60)
    folder = job.model.download(tmp_path / "model")
    module = modelpress.load(folder)
    config = load_folder(folder).config
    data = digits()
    normalise = Normalizer.of(config.mean, config.std, data.test.x, torch.device("cpu"))
    with torch.inference_mode():
        correct = int((module(normalise(data.test.x)).argmax(1) == data.test.y).sum())
    assert isinstance(job.result, TrainResult)
    assert correct == job.result.test.correct
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    assert json.loads((folder / "config.json").read_text())["format"] == "modelpress/1"


def test_the_report_comes_in_every_format(client: Client) -> None:
    job = client.submit(
        {"kind": "train", "model": MLP, "dataset": "digits", "training": {"epochs": 2}}
    ).wait(timeout=60)
    assert json.loads(job.report("json"))["job"] == job.id
    assert job.report("html").lower().startswith(b"<!doctype html>")
    assert job.report("md").startswith(b"# ")
    assert job.report("png").startswith(b"\x89PNG")


def test_events_tell_the_story_and_end_with_the_job(client: Client) -> None:
    job = client.submit(
        {"kind": "train", "model": MLP, "dataset": "digits", "training": {"epochs": 3}}
    )
    events = [event for event in job.events() if event.type != "progress"]
    states = [event.data["status"] for event in events if event.type == "state"]
    assert states == ["queued", "running", "succeeded"]
    assert [e.data["epoch"] for e in events if e.type == "epoch"] == [1, 2, 3]
    names = {series.name for series in job.metrics()}
    assert {"validation_accuracy", "loss_total", "learning_rate"} <= names


def test_a_running_job_is_cancelled(client: Client) -> None:
    job = client.submit(LONG)
    wait_until(lambda: job.refresh().status == "running", 30, "the job to run")
    job.cancel()
    wait_until(lambda: job.refresh().is_done, 10, "the job to end")
    assert job.status == "cancelled"


def test_a_paused_job_goes_on_from_its_checkpoint(client: Client) -> None:
    spec = {**LONG, "training": {"epochs": 12}}
    job = client.submit(spec)

    def is_training() -> bool:
        progress = job.refresh().data.progress
        return progress is not None and progress.step > 3

    wait_until(is_training, 60, "some steps")
    job.pause()
    wait_until(lambda: job.refresh().status == "paused", 20, "the pause")
    assert job.data.attempt == 0  # the attempt was given back
    assert len(job.checkpoints()) >= 1
    job.resume()
    job.wait(timeout=120)
    assert isinstance(job.result, TrainResult)
    # Every epoch once, in order, although two processes trained them.
    assert [record.epoch for record in job.result.history] == list(range(1, 13))


def test_a_job_that_runs_too_long_fails_with_timeout(client: Client) -> None:
    job = client.submit({**LONG, "timeout_s": 2.0})
    with pytest.raises(JobFailed) as failed:
        job.wait(timeout=60)
    assert job.error is not None
    assert job.error.code == "timeout"
    assert "timeout" in str(failed.value)


def test_a_dependent_of_a_failed_job_fails_too(client: Client) -> None:
    first = client.submit({**LONG, "timeout_s": 1.5})
    second = client.submit(
        {"kind": "distill", "teacher": first.id, "student": {"architecture": "cnn_student"},
         "dataset": "digits"}
    )  # fmt: skip
    with pytest.raises(JobFailed):
        second.wait(timeout=60)
    assert second.error is not None
    assert second.error.code == "dependency_failed"


def test_a_dry_run_plans_and_trains_nothing(client: Client) -> None:
    job = client.submit(
        {"kind": "train", "model": {"architecture": "cnn_teacher"}, "dataset": "digits",
         "dry_run": True}
    ).wait(timeout=60)  # fmt: skip
    assert job.result is not None
    assert job.result.kind == "plan"
    assert [(m.architecture, m.parameters) for m in job.result.models] == [
        ("cnn_teacher", 1_412_682)
    ]
    assert job.data.model is None


def test_a_wrong_spec_is_refused_with_a_pointer_before_anything_is_queued(client: Client) -> None:
    before = client.queue().jobs
    with pytest.raises(Invalid) as refused:
        client.submit({"kind": "train", "model": MLP, "dataset": "digits", "trianing": {}})
    assert [item.pointer for item in refused.value.errors] == ["#/trianing"]
    assert client.queue().jobs == before


def test_the_same_seed_gives_the_same_model(client: Client) -> None:
    spec = {
        "kind": "train",
        "model": MLP,
        "dataset": "digits",
        "training": {"epochs": 2},
        "seed": 7,
    }
    models = [client.submit(spec).wait(timeout=60).model.data.sha256 for _ in range(2)]
    assert models[0] == models[1] is not None


def test_logs_of_the_processes_show_no_key(stack: Stack, client: Client) -> None:
    with Client(stack.url, "mp_" + "x" * 38) as stranger, pytest.raises(ApiError):
        stranger.queue()
    for log in (stack.data_dir / "logs").glob("*.log"):
        assert stack.key not in log.read_text()
