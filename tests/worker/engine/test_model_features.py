"""Feature maps by hooks: which layers, which pairs, and nothing left behind."""

import pytest
import torch
from torch import nn

from worker.engine.errors import IncompatibleModels
from worker.engine.models.features import (
    FeatureTap,
    Layer,
    as_map,
    layer_candidates,
    matched,
)
from worker.engine.models.registry import ARCHITECTURES


def layers(architecture: str) -> tuple[Layer, ...]:
    model = ARCHITECTURES[architecture].build(10, (3, 32, 32))
    return layer_candidates(model, torch.zeros(1, 3, 32, 32))


def stages(architecture: str) -> list[tuple[str, tuple[int, int, int]]]:
    return [(layer.name, layer.shape) for layer in layers(architecture) if layer.is_stage]


def test_the_stages_of_a_resnet_are_its_three_layers() -> None:
    assert stages("cifar_resnet8") == [
        ("layer1", (16, 32, 32)), ("layer2", (32, 16, 16)), ("layer3", (64, 8, 8))
    ]  # fmt: skip


def test_the_stages_of_a_plain_network_end_before_each_pooling() -> None:
    assert stages("cnn_student") == [
        ("features.3", (32, 32, 32)), ("features.8", (64, 16, 16)), ("features.11", (128, 8, 8))
    ]  # fmt: skip


def test_the_stages_of_a_perceptron_are_its_hidden_layers() -> None:
    assert stages("mlp") == [("layers.2", (256, 1, 1)), ("layers.5", (128, 1, 1))]


def test_the_layer_that_gives_the_logits_is_no_candidate() -> None:
    names = [layer.name for layer in layers("cifar_resnet8")]
    assert "linear" not in names
    assert "layer2.0.conv1" in names


def test_stages_of_one_size_are_paired_whatever_their_number() -> None:
    pairs = matched(layers("cnn_simple"), layers("cifar_resnet14"))
    # cnn_simple has 32×32 and 16×16; its last goes with the teacher's last
    assert [(p.student, p.teacher) for p in pairs] == [
        ("features.3", "layer1"), ("features.6", "layer3")
    ]  # fmt: skip


def test_a_model_without_stages_needs_named_layers() -> None:
    with pytest.raises(IncompatibleModels, match="stage"):
        matched([Layer("only", (1, 4, 4), 1.0)], [Layer("only", (1, 4, 4), 1.0)])


def test_a_tap_reads_what_a_layer_gave_and_leaves_no_hook() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    model.to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 2, 2)
    with FeatureTap(model, ["1", "0", "1"]) as tap:
        model(images)
        after, before, again = tap.take()
    assert torch.equal(after, before.relu())
    assert again is after
    assert after.requires_grad
    assert not any(module._forward_hooks for module in model.modules())


def test_tokens_and_vectors_become_maps() -> None:
    tokens = torch.randn(2, 5, 3)
    assert torch.equal(as_map(tokens)[:, :, 4, 0], tokens[:, 4])
    assert as_map(torch.randn(2, 7)).shape == (2, 7, 1, 1)
