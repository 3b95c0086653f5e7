"""Groups are tried before they are promised."""

import pytest
import torch
from torch import Tensor, nn

from tests.worker.engine.prune.nets import Residual, unsettle
from worker.engine.errors import NotPrunable
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build
from worker.engine.prune import safe
from worker.engine.prune.removal import cuts_for
from worker.engine.prune.structured import trace


def test_one_bad_group_among_many_is_found_with_few_questions() -> None:
    groups = trace(Residual(6, ["plain"] * 15).eval(), (2, 5, 5)).groups
    assert len(groups) == 16
    bad, asked = groups[11], 0

    def test(some: object) -> bool:
        nonlocal asked
        asked += 1
        return bad not in some  # type: ignore[operator]

    passing = safe._passing(groups, test)
    assert [g.name for g in passing] == [g.name for g in groups if g is not bad]
    assert asked <= 10  # twice the halvings of sixteen, and the whole


def test_a_channel_that_is_read_under_another_number_is_left_alone() -> None:
    class Shuffled(nn.Module):
        """Reverses its channels, which no index of the dependency graph knows."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 6, 1), nn.Conv2d(6, 4, 1)
            self.last = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x).relu().flip(1)
            logits: Tensor = self.last(self.second(hidden).relu().mean(dim=(2, 3)))
            return logits

    torch.manual_seed(0)
    traced = trace(Shuffled().eval(), (2, 3, 3))
    assert traced.left_out == ("first",)
    assert [group.name for group in traced.groups] == ["second"]


class Gated(nn.Module):
    """Halves of the hidden features multiply one another, as in SwiGLU; tokens have them last."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 12), nn.Linear(6, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.wide(x).chunk(2, dim=-1)
        logits: Tensor = self.last(self.narrow(gate.sigmoid() * value).relu().mean(1))
        return logits


def test_the_halves_of_a_gated_layer_go_together() -> None:
    torch.manual_seed(0)
    traced = trace(Gated().eval(), (5, 4))
    gated = traced.groups[0]
    assert gated.name == "wide"
    assert gated.units.tolist() == [[i, i + 6] for i in range(6)]
    # The first and fourth of six are left: rows of both halves, columns of what reads them.
    cuts = cuts_for([gated], [torch.tensor([0, 3])])
    assert {str(place): cut.kept for cut in cuts for place in cut.where} == {
        "wide.weight:0": (0, 3, 6, 9),
        "wide.bias:0": (0, 3, 6, 9),
        "narrow.weight:1": (0, 3),
    }


class Partial(nn.Module):
    """A split by fixed widths; two layers read its first piece, and its last comes first again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.block = nn.Conv2d(2, 8, 1), nn.Conv2d(4, 4, 1)
        self.join, self.last = nn.Conv2d(8, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).relu().split(4, dim=1)
        left = left + self.block(left).relu()
        joined = self.join(torch.cat([right, left], dim=1)).relu()
        logits: Tensor = self.last(joined.mean(dim=(2, 3)))
        return logits


def test_a_split_by_fixed_widths_is_left_whole_and_the_rest_is_pruned() -> None:
    torch.manual_seed(0)
    traced = trace(Partial().eval(), (2, 3, 3))
    assert traced.left_out == ("first",)
    assert [group.name for group in traced.groups] == ["join"]


def test_a_channel_shuffle_leaves_its_own_stream_and_no_other_layer() -> None:
    torch.manual_seed(0)
    net = unsettle(build(ModelConfig(
        "torchvision/shufflenet_v2_x0_5", 3, (3, 64, 64), (0.5,) * 3, (0.5,) * 3
    )))  # fmt: skip
    traced = trace(net, (3, 64, 64))
    assert {"conv5.0", "stage2.0.branch2.0"} <= {group.name for group in traced.groups}


class Recurrent(nn.Module):
    """A recurrent layer, whose gates nobody follows, reads what a linear layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.memory = nn.Linear(4, 6), nn.LSTM(6, 5, batch_first=True)
        self.second, self.last = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        remembered, _ = self.memory(self.first(x).relu())
        logits: Tensor = self.last(self.second(remembered[:, -1]).relu())
        return logits


def test_layers_that_tracing_gives_up_are_named() -> None:
    torch.manual_seed(0)
    traced = trace(Recurrent().eval(), (5, 4))
    assert [group.name for group in traced.groups] == ["second"]
    assert traced.left_out == ("first",)


class Broken(nn.Module):
    """Fails on every input."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such thing")


def test_a_network_that_cannot_be_traced_is_told_by_its_layer() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.ReLU(), Broken()), nn.Linear(6, 3))
    with pytest.raises(NotPrunable, match=r"cannot trace 1\.1: RuntimeError: no such") as seen:
        trace(net.eval(), (4,))
    assert seen.value.hint is not None
    assert "unstructured" in seen.value.hint
