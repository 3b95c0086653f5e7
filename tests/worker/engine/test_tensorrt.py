"""Engines of TensorRT: what needs no GPU, and the rest where there is one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from worker.engine import tensorrt
from worker.engine.device import Precision
from worker.engine.errors import RuntimeMissing
from worker.engine.export.tensorrt import to_tensorrt
from worker.engine.measure.runtimes import RUNTIMES, available
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build, save_folder

CONFIG = ModelConfig("cifar_resnet8", 3, (3, 8, 8), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in str(tensorrt.missing())
    assert "tensorrt" not in available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: None)
    with pytest.raises(RuntimeMissing, match=r"modelpress\[tensorrt\]"):
        tensorrt.check_available()


def test_half_precision_is_that_of_the_exported_model_and_a_graph_keeps_its_own() -> None:
    linear = nn.Linear(2, 1, bias=False)
    nn.init.ones_(linear.weight)
    typed = tensorrt.InPrecision(linear, torch.float16)
    # 1 + 2⁻¹² is between two numbers of float16, and rounds to 1.
    logits = typed(torch.tensor([[1 + 2**-12, 0.0]]))
    assert (logits.dtype, logits.item()) == (torch.float32, 1.0)
    assert tensorrt.precision_of(True, "fp16") == "fp32"
    assert tensorrt.precision_of(False, "bf16") == "bf16"


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.05), ("bf16", 0.2)]
)
def test_an_engine_answers_as_the_model(
    precision: Precision, tolerance: float, tmp_path: Path
) -> None:
    if (reason := tensorrt.missing()) is not None:
        pytest.skip(reason)
    torch.manual_seed(0)
    module = build(CONFIG).eval()
    save_folder(module, CONFIG, tmp_path, card="")
    runner = RUNTIMES["tensorrt"](
        tmp_path, batch_size=3, device=torch.device("cuda"), threads=1, precision=precision
    )
    runner()
    torch.cuda.synchronize()
    assert runner.precision == precision
    for batch_size in (1, 3, 40):
        x = torch.randn(batch_size, 3, 8, 8)
        with torch.no_grad():
            assert torch.allclose(runner.predict(x), module(x), atol=tolerance), batch_size


@pytest.mark.gpu
def test_an_exported_engine_is_loaded_again(tmp_path: Path) -> None:
    if (reason := tensorrt.missing()) is not None:
        pytest.skip(reason)
    module = build(CONFIG).eval()
    loaded = LoadedModel(module, CONFIG)
    file = to_tensorrt(loaded, tmp_path / "model.engine", facts={}, threads=1)
    x = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(file.predict(x), module(x), atol=1e-4)
