"""A library's classifier on the real stack: listed, refused, trained, measured, loaded."""

from pathlib import Path

import pytest
import torch

import modelpress
from modelpress import Client
from service.client.errors import ApiError
from service.contract.benchmark import BenchmarkResult

SMALL = {"architecture": "timm/test_resnet", "options": {"drop_rate": 0.1}}


def test_workers_list_the_classifiers_of_libraries(client: Client) -> None:
    known = client.capabilities().architectures
    assert "drop_rate" in known["timm/test_resnet"]
    assert "dropout" in known["torchvision/mobilenet_v3_small"]
    counts = client.workers()[0].capabilities.architectures
    assert counts["timm"] > 1000
    assert sum(counts.values()) == len(known)


def test_a_misspelt_name_is_refused_with_the_nearest(client: Client) -> None:
    with pytest.raises(ApiError, match="timm/test_resnet"):
        client.train({"architecture": "timm/test_resnt"}, "digits")


def test_a_classifier_of_timm_is_trained_measured_and_loaded(
    client: Client, tmp_path: Path
) -> None:
    job = client.train(SMALL, "digits", training={"epochs": 1, "batch_size": 128})
    compared = client.benchmark(
        [job],
        "digits",
        batch_sizes=[2],
        runtimes=["eager", "onnxruntime"],
        blocks=2,
        block_s=0.02,
        executions=1,
    )
    result = compared.wait(timeout=120).data.result
    assert isinstance(result, BenchmarkResult)
    assert len(result.models[0].latencies) == 2
    trained = job.wait(timeout=10)
    model = modelpress.load(trained.model.download(tmp_path / "model"))
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
