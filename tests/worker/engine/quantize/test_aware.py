"""Modules that round as they train: what they answer, and what moves when."""

import copy

import pytest
import torch
from torch import nn

from tests.worker.engine.quantize.test_torchao import inputs, quantizer_of
from worker.engine.models.graph import Graph
from worker.engine.quantize.aware import QuantAware
from worker.engine.quantize.program import TorchaoQuantizer, activations


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Two convolutions with norms that are not the usual ones: an eps of a tenth, and channels
    that are switched off."""
    torch.manual_seed(0)
    first, second = nn.BatchNorm2d(8, eps=0.1), nn.BatchNorm2d(8)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), first, nn.ReLU(),
        nn.Conv2d(8, 8, 3), second, nn.ReLU(), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(128, 3),
    ).eval()  # fmt: skip
    with torch.no_grad():
        second.weight[:2] = 0.0
        assert first.running_var is not None
        first.running_var.uniform_(0.01, 0.2)
    return net


@pytest.fixture(scope="module")
def quantizer(network: nn.Module) -> TorchaoQuantizer:
    return quantizer_of(network, inputs(32))


@pytest.fixture
def aware(network: nn.Module, quantizer: TorchaoQuantizer) -> QuantAware:
    return QuantAware(network, quantizer.example, quantizer.takes(()), quantizer.ranges)


def test_it_answers_as_the_graph_will(
    aware: QuantAware, network: nn.Module, quantizer: TorchaoQuantizer
) -> None:
    with torch.no_grad():
        rounded, plain = aware(inputs(32)), network(inputs(32))
    graph = Graph(quantizer.all_but(()))(inputs(32))
    scale = plain.std()
    assert 0 < (rounded - plain).abs().mean() / scale < 0.1
    assert (rounded - graph).abs().mean() / scale < 0.02


def test_ranges_and_statistics_follow_the_training_and_then_stand_still(
    aware: QuantAware, network: nn.Module
) -> None:
    def moving() -> list[torch.Tensor]:
        ranges = [value.clone() for pair in aware.ranges().values() for value in pair]
        state = aware.trained().state_dict()
        return ranges + [state[f"{place}.running_mean"] for place in (1, 4)]

    def step() -> None:
        aware.train()
        logits = aware(3 * inputs(16))
        assert logits.isfinite().all()
        logits.sum().backward()
        aware.eval()
        aware(5 * inputs(16))  # judging moves nothing

    start = moving()
    aware.start_epoch(0, 2)
    step()
    moved = moving()
    assert sum(not torch.equal(one, other) for one, other in zip(start, moved, strict=True)) >= 6
    aware.start_epoch(1, 2)
    step()
    assert all(map(torch.equal, moved, moving()))
    assert all(one.fake_quant_enabled[0] == 1 for one in activations(aware))


def test_the_original_is_not_touched(aware: QuantAware, network: nn.Module) -> None:
    before = copy.deepcopy(network.state_dict())
    aware.train()
    aware(inputs(4)).sum().backward()
    torch.optim.SGD(aware.parameters(), 0.1).step()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not torch.equal(aware.trained().state_dict()["8.weight"], before["8.weight"])
