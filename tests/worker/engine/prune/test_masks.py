"""Zeros in place: which, how many, and that they stay."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from tests.worker.engine.conftest import MakeData
from tests.worker.engine.prune.nets import Residual, unsettle
from worker.engine.data.split import Data
from worker.engine.errors import NotPrunable
from worker.engine.prune.masks import (
    apply_masks,
    filter_masks,
    held_masks,
    keep_masks,
    maskable,
    n_m_masks,
    sparsity_of,
    weight_masks,
)
from worker.engine.prune.recalibrate import recalibrate
from worker.engine.prune.schedule import levels
from worker.engine.train.loop import fit


def net_of(*rows: list[float]) -> Any:
    net: Any = nn.Sequential(*(nn.Linear(len(row), 1) for row in rows))
    with torch.no_grad():
        for layer, row in zip(net, rows, strict=True):
            layer.weight.copy_(torch.tensor([row]))
    return net


def test_global_masks_compare_layers_and_local_ones_do_not() -> None:
    net = net_of([4.0, -3.0, 2.0, 1.0], [0.1, 0.2, -0.3, 0.4])
    names = maskable(net)
    masks = weight_masks(net, names, 0.5)
    assert masks["0.weight"].tolist() == [[True, True, True, True]]
    assert masks["1.weight"].tolist() == [[False, False, False, False]]
    masks = weight_masks(net, names, 0.5, is_global=False)
    assert masks["0.weight"].tolist() == [[True, True, False, False]]
    assert masks["1.weight"].tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_the_masks_are_those_of_torchs_own_pruning(sparsity: float) -> None:
    torch.manual_seed(0)
    ours: Any = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    theirs: Any = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    theirs.load_state_dict(ours.state_dict())
    torch_prune.global_unstructured(
        [(theirs[0], "weight"), (theirs[1], "weight")], torch_prune.L1Unstructured, amount=sparsity
    )
    ours.to(memory_format=torch.channels_last)
    apply_masks(ours, weight_masks(ours, maskable(ours), sparsity))
    assert torch.equal(ours[0].weight, theirs[0].weight)
    assert torch.equal(ours[1].weight, theirs[1].weight)


def test_random_masks_differ_by_seed_and_keep_what_was_zero() -> None:
    net: Any = nn.Linear(100, 100)
    first = weight_masks(net, ["weight"], 0.3, importance="random", seed=1)
    again = weight_masks(net, ["weight"], 0.3, importance="random", seed=1)
    other = weight_masks(net, ["weight"], 0.3, importance="random", seed=2)
    assert torch.equal(first["weight"], again["weight"])
    assert not torch.equal(first["weight"], other["weight"])
    more = weight_masks(net, ["weight"], 0.6, importance="random", seed=2, held=first)
    assert int((~more["weight"]).sum()) == 6000
    assert not bool((more["weight"] & ~first["weight"]).any())


def test_two_of_four_keeps_the_larger_two_of_every_four_inputs() -> None:
    net = net_of([1.0, -4.0, 3.0, 2.0, 0.5, 0.1, -0.2, 0.3])
    mask = n_m_masks(net, maskable(net), 2, 4)["0.weight"]
    assert mask.tolist() == [[False, True, True, False, True, False, False, True]]


def test_two_of_four_runs_over_input_channels_of_a_convolution() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3))
    masks = n_m_masks(net, maskable(net), 2, 4)
    assert list(masks) == ["1.weight"]  # three inputs are no multiple of four
    assert bool((masks["1.weight"].reshape(4, 2, 4, 3, 3).sum(2) == 2).all())
    with pytest.raises(NotPrunable, match="multiple of 4"):
        n_m_masks(net, ["0.weight"], 2, 4)


def test_filter_masks_zero_whole_filters_with_the_smallest_norm() -> None:
    net: Any = nn.Sequential(nn.Conv2d(1, 3, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([2.0, 1.0, 3.0]).reshape(3, 1, 1, 1))
    assert filter_masks(net, ["0.weight"], 0.34)["0.weight"].flatten().tolist() == [
        True,
        False,
        True,
    ]
    with pytest.raises(NotPrunable, match="no filter"):
        filter_masks(net, ["0.weight"], 0.9)


def test_ignored_layers_keep_all_their_weights() -> None:
    net = Residual(4, ["plain", "plain"])
    assert "head.weight" not in maskable(net, ["head", "blocks.0"])
    assert not any(name.startswith("blocks.0") for name in maskable(net, ["blocks.0"]))
    with pytest.raises(NotPrunable, match="no layer 'tail'"):
        maskable(net, ["tail"])
    with pytest.raises(NotPrunable):
        maskable(nn.Flatten())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_zeros_stay_zero_in_training(make_data: MakeData, optimizer: Any) -> None:
    data = make_data(train=60, channels=2)
    net: Any = Residual(6, ["plain"], classes=2)
    names = maskable(net)
    masks = weight_masks(net, names, 0.6)
    apply_masks(net, masks)
    before = net.stem.weight.detach().clone()
    with keep_masks(net, masks):
        fit(net, data, mean=(0.5,) * 2, std=(0.5,) * 2, epochs=2, optimizer=optimizer,
            momentum=0.9, weight_decay=0.01, batch_size=16)  # fmt: skip
    assert sparsity_of(net, names) == pytest.approx(0.6, abs=1e-3)
    assert all(bool((net.get_parameter(n)[~m] == 0).all()) for n, m in masks.items())
    assert not torch.equal(before, net.stem.weight)


def test_zeros_are_free_again_after_keeping_them() -> None:
    net: Any = nn.Linear(2, 1, bias=False)
    masks = {"weight": torch.tensor([[False, True]])}
    apply_masks(net, masks)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    for frozen in (True, False):
        net.weight.grad = torch.ones(1, 2)
        if frozen:
            with keep_masks(net, masks):
                optimizer.step()
            assert net.weight[0, 0] == 0
        else:
            optimizer.step()
            assert net.weight[0, 0] == -1


def test_linear_and_cubic_schedules_by_hand() -> None:
    assert levels("one_shot", 0.5, initial=0.2, steps=4) == (0.5,)
    assert levels("linear", 0.8, initial=0.2, steps=3) == pytest.approx((0.4, 0.6, 0.8))
    # 0.8 − 0.8·(3/4)³, (2/4)³, (1/4)³, 0
    assert levels("cubic", 0.8, steps=4) == pytest.approx((0.4625, 0.7, 0.7875, 0.8))
    with pytest.raises(ValueError, match="initial"):
        levels("linear", 0.3, initial=0.5)
    with pytest.raises(ValueError, match="steps"):
        levels("linear", 0.3, steps=0)


@pytest.mark.parametrize("name", ["linear", "cubic"])
def test_after_each_step_the_share_of_zeros_is_the_schedules(name: Any, data: Data) -> None:
    net: Any = nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.ReLU(), nn.Linear(24, 3))
    names = maskable(net)
    for level in levels(name, 0.9, initial=0.1, steps=4):
        masks = weight_masks(net, names, level, held=held_masks(net, names))
        apply_masks(net, masks)
        with keep_masks(net, masks):
            fit(net, data, mean=(0.5,) * 3, std=(0.5,) * 3, epochs=1)
        assert sparsity_of(net, names) == pytest.approx(level, abs=1e-3)


def test_recalibration_measures_the_mean_and_variance_of_what_comes_now(data: Data) -> None:
    net: Any = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 3))
    unsettle(net)
    assert recalibrate(net, data.train, (0.0,) * 3, (1.0,) * 3, device=torch.device("cpu"))
    x = data.train.x.double() / 255
    torch.testing.assert_close(
        net[0].running_mean.double(), x.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        net[0].running_var.double(), x.var(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6
    )
    assert math.isclose(net[0].momentum, 0.1)
    assert not net[0].training


def test_without_batch_norm_there_is_nothing_to_recalibrate(data: Data) -> None:
    assert not recalibrate(
        nn.Linear(3, 3), data.train, (0.0,) * 3, (1.0,) * 3, device=torch.device("cpu")
    )
