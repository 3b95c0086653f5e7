"""What every compressing job tells of its baseline and of what it made."""

from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from service.contract.before_after import BeforeAfter
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import MLP, TEACHERS, MakeJob
from worker.engine.prune.sparse_file import save_sparse
from worker.handlers import handle

SPECS: dict[str, dict[str, Any]] = {
    "distill": {
        "teacher": TEACHERS[0], "student": MLP, "training": {"epochs": 1, "batch_size": 16}
    },
    "prune": {"model": TEACHERS[0], "finetune": None, "method": {"name": "structured"}},
    "quantize": {"model": TEACHERS[0], "method": {"name": "dynamic_int8"}},
}  # fmt: skip
# A perceptron of 48 inputs and 3 outputs with h hidden units in batch norm has 52 · h + 3.
PARAMETERS = {"distill": 52 * 8 + 3, "prune": 52 * 8 + 3}
RUNTIMES = {
    "distill": [("eager", "eager")],
    "prune": [("eager", "eager")],
    # against its float graph, and against the original as it was served
    "quantize": [("onnxruntime", "onnxruntime"), ("eager", "onnxruntime")],
}


def compared(make_job: MakeJob, **spec: Any) -> BeforeAfter:
    job = make_job(Recorder(), **spec)
    result = handle(job.order, job.folder, job.observer).result
    assert result.kind in ("distill", "prune", "quantize")
    assert result.comparison is not None
    assert result.comparison.compressed.facts.model == job.order.model_id
    return result.comparison


@pytest.mark.parametrize("kind", SPECS)
def test_the_baseline_stands_beside_what_was_made(kind: str, make_job: MakeJob) -> None:
    found = compared(make_job, kind=kind, **SPECS[kind], latency_batch_sizes=[3])
    before, after = found.baseline, found.compressed
    assert before.facts.model == TEACHERS[0]
    assert before.facts.parameters == 52 * 16 + 3
    assert after.facts.parameters == PARAMETERS.get(kind, after.facts.parameters)
    assert found.compression_ratio == pytest.approx(835 / after.facts.parameters)
    assert found.size_ratio == after.stored_bytes / before.stored_bytes
    more_right = after.test.correct - before.test.correct
    assert found.accuracy_change_points == pytest.approx(more_right / 30 * 100)
    assert sum(one.samples for one in after.test.reliability) == 30
    pairs = [(one.baseline_runtime, one.runtime) for one in found.latencies]
    assert pairs == RUNTIMES[kind]
    for row in found.latencies:
        assert (row.batch_size, row.low <= row.speedup <= row.high) == (3, True)
    for side in (before, after):
        assert side.process is not None
        assert side.process.peak_rss_bytes > side.process.libraries_rss_bytes > 1 << 20
        assert side.process.file_bytes == side.facts.size_bytes
    assert found.memory_ratio is not None


def test_nothing_is_timed_where_no_batch_size_is_named(make_job: MakeJob) -> None:
    found = compared(make_job, kind="distill", **SPECS["distill"], latency_batch_sizes=[])
    assert (found.latencies, found.memory_ratio) == ((), None)
    assert found.compressed.process is None


@pytest.mark.parametrize("kind", SPECS)
def test_the_baseline_counts_its_file_without_zeros(kind: str, make_job: MakeJob) -> None:
    job = make_job(Recorder(), kind=kind, **SPECS[kind], latency_batch_sizes=[])
    folder = job.folder / job.input(TEACHERS[0]).folder
    weights = load_file(folder / "model.safetensors")
    for tensor in weights.values():
        if tensor.ndim == 2:
            tensor[:, 1:] = 0
    save_file(weights, folder / "model.safetensors")
    assert save_sparse(weights, folder / "model.sparse.safetensors")
    dense, sparse = ((folder / f"model{s}.safetensors").stat().st_size for s in ("", ".sparse"))
    assert sparse < dense
    result = handle(job.order, job.folder, job.observer).result
    assert result.kind in ("distill", "prune", "quantize")
    assert result.comparison is not None
    baseline = result.comparison.baseline
    assert (baseline.facts.size_bytes, baseline.stored_bytes) == (dense, sparse)
    assert result.comparison.size_ratio == result.comparison.compressed.stored_bytes / sparse
