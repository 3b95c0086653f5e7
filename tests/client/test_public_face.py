"""`import modelpress`: what a stranger sees first."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import modelpress
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, save_folder


def test_a_saved_folder_loads_in_evaluation_mode_with_the_same_weights(tmp_path: Path) -> None:
    config = ModelConfig("mlp", 3, (2, 4), (0.0, 0.0), (1.0, 1.0), {"hidden": [5]})
    saved = build(config)
    save_folder(saved, config, tmp_path / "model", "# A model")
    loaded = modelpress.load(tmp_path / "model")
    assert not loaded.training
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no model"):
        modelpress.load(tmp_path)


def test_the_version_is_the_package_s() -> None:
    assert modelpress.__version__ == version("modelpress")


def test_importing_it_needs_neither_torch_nor_a_database() -> None:
    heavy = ["torch", "fastapi", "sqlalchemy", "celery", "pydantic_settings", "rich", "typer"]
    program = f"import sys, modelpress; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
