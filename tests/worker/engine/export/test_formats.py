"""Exported files answer as the model does, at any batch size, and say where they come from."""

import json
import zipfile
from pathlib import Path

import onnx
import pytest
import torch
from safetensors import safe_open

from worker.engine.errors import NotExportable, RuntimeMissing
from worker.engine.export import formats
from worker.engine.export.formats import EXPORTERS
from worker.engine.export.onnx import export_onnx
from worker.engine.export.parity import compare, logits_of, random_inputs
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build
from worker.engine.models.graph import Graph

CONFIG = ModelConfig("cifar_resnet8", 3, (3, 8, 8), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
FACTS = {"modelpress.job": "job_1", "modelpress.sha256": "ab" * 32}


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    return LoadedModel(build(CONFIG).eval(), CONFIG)


@pytest.mark.parametrize("name", ["safetensors", "onnx", "pt2", "openvino"])
def test_the_written_file_answers_as_the_model_at_every_batch_size(
    name: str, loaded: LoadedModel, tmp_path: Path
) -> None:
    file = EXPORTERS[name](loaded, tmp_path / "file", facts=FACTS, threads=1)
    for batch_size in (1, 2, 5):
        x = torch.randn(batch_size, 3, 8, 8)
        with torch.no_grad():
            assert torch.allclose(file.predict(x), loaded.module(x), atol=1e-4), batch_size


def test_every_format_carries_its_origin(loaded: LoadedModel, tmp_path: Path) -> None:
    for name in ("safetensors", "onnx", "pt2", "openvino"):
        EXPORTERS[name](loaded, tmp_path / name, facts=FACTS, threads=1)
    model = onnx.load(tmp_path / "onnx")
    assert {entry.key: entry.value for entry in model.metadata_props}.items() >= FACTS.items()
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param
    with safe_open(tmp_path / "safetensors", "pt") as weights:
        assert weights.metadata().items() >= FACTS.items()
    with zipfile.ZipFile(tmp_path / "pt2") as archive:
        (extra,) = (name for name in archive.namelist() if name.endswith("modelpress.json"))
        assert json.loads(archive.read(extra)) == FACTS
    with zipfile.ZipFile(tmp_path / "openvino") as archive:
        assert archive.namelist() == ["model.xml", "model.bin"]
        assert b"job_1" in archive.read("model.xml")


def test_a_graph_is_exported_as_it_is_and_to_openvino(loaded: LoadedModel, tmp_path: Path) -> None:
    graph = LoadedModel(Graph(export_onnx(loaded)), CONFIG)
    x = torch.randn(2, 3, 8, 8)
    for name in ("onnx", "openvino"):
        file = EXPORTERS[name](graph, tmp_path / name, facts={}, threads=1)
        assert torch.allclose(file.predict(x), graph.module(x), atol=1e-4)
    with pytest.raises(NotExportable, match="no PyTorch program"):
        EXPORTERS["pt2"](graph, tmp_path / "pt2", facts={}, threads=1)


@pytest.mark.parametrize("name", ["executorch", "tensorrt"])
def test_a_format_without_a_runtime_is_skipped_with_its_name(
    name: str, loaded: LoadedModel, tmp_path: Path
) -> None:
    if name in formats.available():
        pytest.skip(f"{name} is here")
    with pytest.raises(RuntimeMissing, match=r"ExecuTorch|TensorRT"):
        EXPORTERS[name](loaded, tmp_path / "file", facts={}, threads=1)


def test_differences_are_the_largest_the_mean_and_the_share_of_equal_winners() -> None:
    reference = torch.tensor([[0.0, 10.0], [3.0, 3.001]])
    exported = torch.tensor([[0.002, 10.0], [3.002, 3.001]])
    parity = compare(exported, reference)
    assert parity.max_abs_difference == pytest.approx(0.002, abs=1e-6)
    assert parity.mean_abs_difference == pytest.approx(0.001, abs=1e-6)
    assert (parity.agreement, parity.samples) == (0.5, 2)
    assert parity.tolerance == pytest.approx(0.01)


@pytest.mark.parametrize("wrong", [0.02, float("nan")])
def test_a_difference_beyond_the_tolerance_is_a_failure(wrong: float) -> None:
    with pytest.raises(NotExportable, match="differ"):
        compare(torch.tensor([[wrong, 10.0]]), torch.tensor([[0.0, 10.0]]))


def test_random_inputs_are_normalised_to_unit_variance(loaded: LoadedModel) -> None:
    split = random_inputs(CONFIG)
    mean, std = torch.tensor(CONFIG.mean), torch.tensor(CONFIG.std)
    x = (split.x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    assert x.std().item() == pytest.approx(1, abs=0.02)
    with torch.no_grad():
        expected = loaded.module(x)
    assert torch.allclose(logits_of(loaded.module, CONFIG, split), expected, atol=1e-4)


def test_only_formats_that_can_be_written_here_are_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert {"safetensors", "onnx", "pt2", "openvino"} <= set(formats.available())
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    assert "openvino" not in formats.available()
