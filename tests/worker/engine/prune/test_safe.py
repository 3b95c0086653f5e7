"""Groups are tried before they are promised."""

import torch
from torch import Tensor, nn

from tests.worker.engine.prune.nets import Residual
from worker.engine.prune import safe
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
