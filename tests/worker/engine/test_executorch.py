"""Programs of ExecuTorch, where it is installed: one is lowered, since that takes ten seconds."""

from pathlib import Path

import pytest
import torch

from worker.engine.errors import UnsupportedDevice
from worker.engine.export.executorch import to_executorch
from worker.engine.measure.runner import Setting
from worker.engine.measure.runtimes import RUNTIMES, available
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build, save_folder

pytest.importorskip("executorch")

CONFIG = ModelConfig("cifar_resnet8", 3, (3, 8, 8), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def test_a_program_answers_as_the_model_in_batches_beyond_its_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = build(CONFIG).eval()
    file = to_executorch(
        LoadedModel(module, CONFIG), tmp_path / "model.pte", facts={"job": "job_1"}, threads=1
    )
    assert file.runtime.startswith("executorch 1.")
    save_folder(module, CONFIG, tmp_path / "model", card="")
    setting = Setting(3, torch.device("cpu"), 1, "bf16")
    runner = RUNTIMES["executorch"].load(tmp_path / "model", file.path, setting)
    assert runner.precision == "fp32"
    runner()
    for batch_size in (1, 64, 70):
        x = torch.randn(batch_size, 3, 8, 8)
        with torch.no_grad():
            expected = module(x)
        assert torch.allclose(file.predict(x), expected, atol=1e-4), batch_size
        assert torch.allclose(runner.predict(x), expected, atol=1e-4), batch_size
    assert file.predict.facts == {"job": "job_1"}  # type: ignore[attr-defined]
    assert b"ET12" in file.path.read_bytes()[:8]


def test_it_is_offered_where_it_is_installed_and_for_processors_only(tmp_path: Path) -> None:
    assert "executorch" in available()
    write = RUNTIMES["executorch"].write
    assert write is not None
    with pytest.raises(UnsupportedDevice):
        write(tmp_path, tmp_path / "file", device=torch.device("cuda"), precision="fp32")
