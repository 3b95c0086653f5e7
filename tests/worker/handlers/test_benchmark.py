"""A benchmark, from the spec to the result."""

import json
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from service.contract.benchmark import BenchmarkResult, BenchmarkSpec
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import TEACHERS, MakeJob
from worker.engine.errors import RuntimeMissing
from worker.engine.export.onnx import onnx_of
from worker.engine.measure.runtimes import available
from worker.engine.models.folder import load_folder, save_graph
from worker.handlers.benchmark import benchmark
from worker.handlers.side_by_side import timing_environment
from worker.tuning import SETTINGS

QUICK = {
    "kind": "benchmark",
    "warmup_s": 0.01,
    "blocks": 2,
    "executions": 1,
    "block_s": 0.01,
    "threads": 1,
}


def _outcome(make_job: MakeJob, **spec: object) -> tuple[BenchmarkResult, dict[str, Any]]:
    """The result, and what is in the file of samples."""
    job = make_job(Recorder(), **{**QUICK, **spec})
    assert isinstance(job.spec, BenchmarkSpec)
    outcome = benchmark(job, job.spec)
    assert isinstance(outcome.result, BenchmarkResult)
    (file,) = outcome.files
    assert (file.name, file.kind) == ("latency-samples.json", "samples")
    return outcome.result, json.loads((job.folder / file.path).read_text())


def _result(make_job: MakeJob, **spec: object) -> BenchmarkResult:
    return _outcome(make_job, **spec)[0]


def test_every_cell_has_its_latency_process_and_speedup(make_job: MakeJob) -> None:
    absent = "executorch" if "executorch" not in available() else "tensorrt"
    runtimes = ["eager", "onnxruntime", absent]
    result, samples = _outcome(make_job, models=TEACHERS, runtimes=runtimes, batch_sizes=[1, 2])
    wanted = [(name, size) for name in ("eager", "onnxruntime") for size in (1, 2)]
    cells = {
        (one["model"], one["runtime"], one["batch_size"]): one["turns"] for one in samples["cells"]
    }
    for model in result.models:
        assert [(one.runtime, one.batch_size) for one in model.latencies] == wanted
        for latency in model.latencies:
            turns = cells[model.facts.model, latency.runtime, latency.batch_size]
            assert len(turns) == 2
            taken = [sample for turn in turns for sample in turn]
            assert latency.quantiles_ms[10] == pytest.approx(median(taken), abs=1e-5)
            assert latency.quantiles_ms[0] == pytest.approx(min(taken), abs=1e-5)
            assert latency.samples_ms == ()
        for process in model.processes:  # the test split has 30 inputs
            assert (process.scored_inputs, process.agreement) == (30, 1.0)
            assert process.accuracy == pytest.approx(model.test.accuracy)
        assert [one.runtime for one in model.processes] == ["eager", "onnxruntime"]
        assert [one.code for one in model.skipped] == ["runtime_missing"]
        # 48 inputs to 16 units to 3 classes
        assert model.facts.parameters == 48 * 16 + 16 + 16 * 3 + 3
        assert model.facts.macs == 48 * 16 + 16 * 3
    baseline, other = result.models
    assert baseline.speedups == ()
    assert [(one.runtime, one.batch_size) for one in other.speedups] == wanted
    assert [(one.runtime, one.batch_size) for one in baseline.runtime_speedups] == wanted[2:]
    assert [(one.runtime, one.batch_size) for one in other.runtime_speedups] == wanted


def test_a_graph_is_skipped_where_only_layers_run(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **{**QUICK, "models": TEACHERS, "batch_sizes": [1]})
    folder = job.folder / "teacher-0"
    layers = load_folder(folder)
    save_graph(onnx_of(layers), replace(layers.config, architecture="onnx", options={}), folder, "")
    assert isinstance(job.spec, BenchmarkSpec)
    result = benchmark(job, job.spec).result
    assert isinstance(result, BenchmarkResult)
    graph, other = result.models
    assert [(one.runtime, one.code) for one in graph.skipped] == [("eager", "not_exportable")]
    assert graph.latencies == ()
    assert [one.runtime for one in other.latencies] == ["eager"]
    assert other.speedups == ()  # there is nothing to divide by


def test_a_precision_that_a_runtime_lacks_is_not_measured_twice(make_job: MakeJob) -> None:
    result = _result(
        make_job,
        models=TEACHERS[:1],
        runtimes=["eager", "onnxruntime"],
        batch_sizes=[1],
        precisions=["fp32", "bf16"],
    )
    found = {(one.runtime, one.precision) for one in result.models[0].latencies}
    assert found == {("eager", "fp32"), ("eager", "bf16"), ("onnxruntime", "fp32")}


def test_a_benchmark_of_nothing_that_runs_fails(make_job: MakeJob) -> None:
    with pytest.raises(RuntimeMissing, match="TensorRT"):
        _result(make_job, models=TEACHERS[:1], runtimes=["tensorrt"], batch_sizes=[1])


def test_timing_processes_are_not_tuned_as_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")  # an operator's own
    found = {name: timing_environment().get(name) for name in SETTINGS}
    assert found == {**dict.fromkeys(SETTINGS), "GOMP_SPINCOUNT": "7"}
