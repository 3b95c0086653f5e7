"""A model is exported on the real stack and downloaded by format."""

from pathlib import Path

import onnxruntime
import pytest
import torch

import modelpress
from modelpress import Client
from service.client import ApiError
from service.contract.export import ExportResult


def test_a_trained_model_is_downloaded_as_onnx_and_answers_as_the_folder_does(
    client: Client, tmp_path: Path
) -> None:
    trained = client.train(
        {"architecture": "mlp", "options": {"hidden": [16]}}, "digits", training={"epochs": 1}
    )
    exported = client.export(trained, ["onnx", "openvino"], "digits").wait(timeout=120)

    result = exported.result
    assert isinstance(result, ExportResult)
    model = trained.refresh().model
    assert result.source.model == model.id
    assert {file.data.kind for file in exported.artifacts()} >= {"export", "report"}
    path = model.download(tmp_path / "model.onnx", format="onnx")
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    x = torch.rand(3, 3, 32, 32)
    (logits,) = session.run(None, {"input": x.numpy()})
    module = modelpress.load(model.download(tmp_path / "folder"))
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(logits), module(x), atol=1e-4)
    assert not (tmp_path / "folder" / "model.onnx").exists()
    assert model.download(tmp_path / "model.zip", format="openvino").stat().st_size > 0
    with pytest.raises(ApiError, match="has no pt2; there is folder, safetensors, onnx, openvino"):
        model.download(tmp_path / "model.pt2", format="pt2")


def test_an_export_makes_no_model_that_another_job_could_take(client: Client) -> None:
    trained = client.train("mlp", "digits", training={"epochs": 1})
    exported = client.export(trained)
    try:
        with pytest.raises(ApiError, match="makes no model"):
            client.benchmark([exported], "digits")
    finally:
        exported.cancel()
        trained.cancel()
