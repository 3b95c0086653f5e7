"""After a pruning on the real stack: another one, a lesson, a quantisation, an export."""

from pathlib import Path

import onnxruntime
import torch

import modelpress
from modelpress import Client
from service.client import Job
from service.contract.distill import DistillResult
from service.contract.export import ExportResult
from service.contract.prune_result import PruneResult
from service.contract.quantize_result import QuantizeResult

MLP = {"architecture": "mlp", "options": {"hidden": [32, 16]}}


def scans_of(job: Job) -> list[str]:
    return [a.data.name for a in job.artifacts() if a.data.kind == "sensitivity"]


def test_a_second_adaptive_job_reads_the_scan_of_the_first(client: Client) -> None:
    model = client.train(MLP, "digits", training={"epochs": 2}).wait(timeout=120).model.id
    jobs = []
    for ratio in (0.5, 0.25):
        method = {"name": "structured", "pruning_ratio": ratio}
        job = client.prune(
            model, "digits", method=method, allocation="adaptive", finetune=None,
            latency_batch_sizes=[],
        )  # fmt: skip
        jobs.append(job.wait(timeout=120))
    first, second = (job.result for job in jobs)
    assert isinstance(first, PruneResult)
    assert isinstance(second, PruneResult)
    assert len(scans_of(jobs[0])) == 1
    assert scans_of(jobs[1]) == []
    assert first.sensitivity == second.sensitivity
    assert first.facts.parameters < second.facts.parameters


def test_a_pruned_model_is_pruned_again_taught_quantised_and_exported(
    client: Client, tmp_path: Path
) -> None:
    trained = client.train(MLP, "digits", training={"epochs": 3})
    once = client.prune(trained, "digits", finetune=None, latency_batch_sizes=[])
    twice = client.prune(once, "digits", finetune={"epochs": 1}, latency_batch_sizes=[])
    taught = client.distill(trained, once, "digits", training={"epochs": 1}, latency_batch_sizes=[])
    small = client.quantize(twice, "digits", latency_batch_sizes=[])
    exported = client.export(twice, ["onnx"], "digits")

    again = twice.wait(timeout=120).result
    lesson = taught.wait(timeout=120).result
    graph = small.wait(timeout=120).result
    formats = exported.wait(timeout=120).result
    assert isinstance(again, PruneResult)
    assert isinstance(lesson, DistillResult)
    assert isinstance(graph, QuantizeResult)
    assert isinstance(formats, ExportResult)

    def parameters(first: int, second: int) -> int:
        return 3072 * first + first + first * second + second + second * 10 + 10

    assert again.original.parameters == lesson.facts.parameters == parameters(16, 8)
    assert again.facts.parameters == parameters(8, 4)
    assert graph.original.size_bytes > graph.facts.size_bytes
    module = modelpress.load(twice.model.download(tmp_path / "twice"))
    path = twice.model.download(tmp_path / "twice.onnx", format="onnx")
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (inputs,) = session.get_inputs()
    x = torch.rand(2, 3, 32, 32)
    (logits,) = session.run(None, {inputs.name: x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), module(x), rtol=1e-3, atol=1e-4)
