"""Architectures, their files, and what happens to wrong ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.engine.errors import InvalidModel
from worker.engine.measure.macs import macs
from worker.engine.measure.size import nonzero_parameters, parameters, size_bytes
from worker.engine.models.cifar_resnet import Shortcut
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import (
    build,
    expected_shapes,
    load_folder,
    load_weights,
    save_folder,
)
from worker.engine.models.registry import ARCHITECTURES

HALF = (0.5, 0.5, 0.5)


def images(architecture: str, side: int = 32) -> ModelConfig:
    return ModelConfig(architecture, 10, (3, side, side), HALF, HALF)


# The first three as the project specifies them; a ResNet of depth 6n + 2 has the first
# convolution and norm (464), the stages, and the linear layer (650).
COUNTS = {
    "cnn_teacher": 1_412_682,
    "cnn_student": 148_330,
    "cnn_simple": 102_154,
    "cifar_resnet8": 75_290,
    "cifar_resnet20": 269_722,
    "cifar_resnet56": 853_018,
    "cifar_resnet110": 1_727_962,
}


@pytest.mark.parametrize("architecture", COUNTS)
def test_parameter_counts_are_exact(architecture: str) -> None:
    assert parameters(build(images(architecture))) == COUNTS[architecture]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_one_logit_per_class(architecture: str) -> None:
    model = build(images(architecture, side=8)).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_a_perceptron_takes_any_shape() -> None:
    config = ModelConfig("mlp", 4, (5, 7), (0.0,) * 5, (1.0,) * 5, options={"hidden": [6, 3]})
    model = build(config)
    # (35·6 + 6) + (6·3 + 3) + (3·4 + 4)
    assert parameters(model) == 253
    assert model(torch.zeros(2, 5, 7)).shape == (2, 4)


def test_the_shortcut_takes_every_second_pixel_and_pads_channels_on_both_sides() -> None:
    x = torch.arange(2 * 16).reshape(1, 2, 4, 4).float() + 1
    out = Shortcut(channels=2, width=4, stride=2)(x)
    assert out.shape == (1, 4, 2, 2)
    assert out[0, 0].count_nonzero() == 0
    assert out[0, 3].count_nonzero() == 0
    assert out[0, 1].tolist() == [[1, 3], [9, 11]]


def test_a_saved_model_reloads_bit_for_bit(tmp_path: Path) -> None:
    config = replace(images("cnn_teacher", side=8), compression=({"kind": "distill"},))
    model = build(config)
    model(torch.randn(4, 3, 8, 8))  # moves batch norm's statistics
    model.to(memory_format=torch.channels_last)
    save_folder(model, config, tmp_path / "m", card="# A card\n")
    loaded = load_folder(tmp_path / "m")
    assert loaded.config == config
    assert not loaded.module.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.module.state_dict()[name]), name
    assert (tmp_path / "m" / "README.md").read_text() == "# A card\n"
    assert size_bytes(tmp_path / "m") > 4 * parameters(model)


def test_public_checkpoints_without_step_counters_load(tmp_path: Path) -> None:
    state = build(images("cifar_resnet8")).state_dict()
    public = {name: t for name, t in state.items() if "num_batches_tracked" not in name}
    assert len(public) < len(state)
    save_file(public, tmp_path / "w.safetensors")
    fresh = build(images("cifar_resnet8"))
    load_weights(fresh, tmp_path / "w.safetensors")
    assert torch.equal(fresh.state_dict()["conv1.weight"], public["conv1.weight"])


def test_mismatched_weights_are_named_with_their_shapes(tmp_path: Path) -> None:
    config = images("cnn_simple")
    state = build(config).state_dict()
    state["surplus"] = torch.zeros(1)
    del state["features.0.bias"]
    state["classifier.2.weight"] = torch.zeros(7, 64)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InvalidModel) as caught:
        load_weights(build(config), tmp_path / "w.safetensors")
    message = str(caught.value)
    assert "missing: features.0.bias [32]" in message
    assert "unexpected: surplus [1]" in message
    assert "classifier.2.weight is [7, 64], expected [10, 64]" in message


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    config = images("cnn_simple")
    save_folder(build(config), config, tmp_path, card="")
    state = load_file(tmp_path / "model.safetensors")
    state["features.0.bias"][3] = torch.nan
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(InvalidModel, match=r"features\.0\.bias"):
        load_folder(tmp_path)


def test_a_file_of_nonsense_is_an_invalid_model(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(InvalidModel):
        load_weights(build(images("cnn_simple")), tmp_path / "w.safetensors")


def test_shapes_are_known_without_building_anything() -> None:
    shapes = expected_shapes(images("cifar_resnet20"))
    assert shapes["layer2.0.conv1.weight"] == (32, 16, 3, 3)
    assert shapes["linear.weight"] == (10, 64)


@pytest.mark.parametrize(
    "config",
    [
        images("resnet1000"),
        images("cnn_teacher", side=4),  # three poolings leave nothing
        ModelConfig("cnn_teacher", 10, (12,), (0.0,) * 12, (1.0,) * 12),
        replace(images("cnn_teacher"), options={"dropout": 0.1}),
        replace(images("mlp"), options={"hidden": [0]}),
        replace(images("mlp"), options={"hidden": "wide"}),
    ],
)
def test_a_model_that_cannot_be_built_is_invalid(config: ModelConfig) -> None:
    with pytest.raises(InvalidModel):
        build(config)


def test_a_config_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "change",
    [
        {"format": "modelpress/2"},
        {"surprise": 1},
        {"classes": "10"},
        {"classes": True},
        {"mean": [0.5]},
        {"std": [0.0, 0.5, 0.5]},
        {"mean": None},
        {"labels": ["red"]},
        {"labels": 3},
        {"input_size": 3},
        {"options": []},
        {"compression": [1]},
        {"architecture": 7},
    ],
)
def test_a_wrong_config_is_an_invalid_model(config: ModelConfig, change: dict[str, object]) -> None:
    document = json.loads(config.to_json()) | change
    with pytest.raises(InvalidModel):
        ModelConfig.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"format": "modelpress/1"}'])
def test_a_config_that_is_no_config_is_an_invalid_model(text: str) -> None:
    with pytest.raises(InvalidModel):
        ModelConfig.from_json(text)


def test_macs_are_those_counted_by_hand() -> None:
    by_hand = sum(
        9 * before * after * side * side
        for before, after, side in [(3, 32, 32), (32, 64, 32), (64, 128, 16)]
    )
    by_hand += 128 * 64 + 64 * 10
    assert macs(build(images("cnn_simple")), (3, 32, 32)) == by_hand


def test_zeros_do_not_count_as_nonzero_parameters() -> None:
    model = build(images("mlp", side=8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
        next(model.parameters())[0] = 0  # 192 inputs of the first unit
    assert nonzero_parameters(model) == parameters(model) - 192
