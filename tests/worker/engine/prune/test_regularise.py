"""Penalties that make weak channels weaker."""

from typing import Any

import pytest
import torch
from torch import nn

from worker.engine.prune.regularise import regularised
from worker.engine.prune.structured import trace


def net_with_norms(*values: float) -> Any:
    """One hidden layer whose units have one weight in and one out, both of that value."""
    net: Any = nn.Sequential(nn.Linear(1, len(values)), nn.ReLU(), nn.Linear(len(values), 1)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(values)[:, None])
        net[2].weight.copy_(torch.tensor(values)[None])
    return net


def stepped(kind: Any, steps: int) -> Any:
    net = net_with_norms(1.0, 2.0, 3.0)
    groups = trace(net, (1,)).groups
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    with regularised(net, groups, kind=kind, strength=0.01, steps_per_update=1):
        for _ in range(steps):
            for parameter in net.parameters():
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
    return net


def test_the_group_norm_penalty_by_hand() -> None:
    net = stepped("group_norm", 1)
    # Scores 1, 4, 9 are 1, 5/8 and 0 of the way to the weakest: γ = 2^4, 2^2.5, 1.
    expected = [1.0 - 0.01 * 16, 2.0 - 0.02 * 2**2.5, 3.0 - 0.03]
    assert net[0].weight.flatten().tolist() == pytest.approx(expected)
    assert net[2].weight.flatten().tolist() == pytest.approx(expected)


def test_a_growing_penalty_grows_and_spares_the_strongest() -> None:
    net = stepped("growing_reg", 1)
    assert net[0].weight.flatten().tolist() == pytest.approx([0.99, 2.0 - 0.02 * 5 / 8, 3.0])
    again = stepped("growing_reg", 2)
    # γ of the weakest is 1 in the first step and 2 in the second.
    assert again[0].weight[0, 0].item() == pytest.approx(0.99 * 0.98)
    assert again[0].weight[2, 0].item() == 3.0


def test_biases_have_no_penalty_and_it_ends_with_the_block() -> None:
    net = stepped("group_norm", 1)
    before = net[0].weight.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(net[0].weight, before)


def test_a_negative_strength_is_the_callers_mistake() -> None:
    net = net_with_norms(1.0, 2.0)
    with pytest.raises(ValueError, match="strength"), regularised(net, (), strength=-1.0):
        pass
