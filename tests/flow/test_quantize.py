"""A model is quantised on the real stack, and what is downloaded is what was measured."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from modelpress import Client
from service.client import Invalid
from service.contract.benchmark import BenchmarkResult
from service.contract.quantize_result import QuantizeResult


def test_a_chain_of_train_quantize_and_benchmark_ends_in_a_graph_that_runs(
    client: Client, tmp_path: Path
) -> None:
    trained = client.train(
        {"architecture": "mlp", "options": {"hidden": [32]}}, "digits", training={"epochs": 4}
    )
    small = client.quantize(trained, "digits", latency_batch_sizes=[1])
    with pytest.raises(Invalid, match="a runtime graph cannot be trained"):
        client.prune(small, "digits")
    measured = client.benchmark(
        [trained, small],
        "digits",
        runtimes=["onnxruntime"],
        batch_sizes=[1],
        blocks=2,
        executions=1,
    )

    result = small.wait(timeout=120).result
    assert isinstance(result, QuantizeResult)
    assert result.size_ratio < 0.3
    assert abs(result.accuracy_change_points) < 2
    model = small.model
    assert model.data.form == "graph"
    assert model.data.parent == result.original.model
    path = model.download(tmp_path / "small.onnx", format="onnx")
    assert path.stat().st_size == result.facts.size_bytes == model.data.size_bytes
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": torch.zeros(2, 3, 32, 32).numpy()})
    assert logits.shape == (2, 10)
    table = measured.wait(timeout=120).result
    assert isinstance(table, BenchmarkResult)
    assert table.models[1].test == result.test
