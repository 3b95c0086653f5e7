"""Structured pruning: by hand, against masking, and against torch-pruning's own pruner."""

import copy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch_pruning as tp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.worker.engine.prune.nets import KINDS, Residual, unsettle
from worker.engine.errors import NotPrunable
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, save_folder
from worker.engine.models.registry import ARCHITECTURES
from worker.engine.prune.cuts import apply_cuts
from worker.engine.prune.importance import importance
from worker.engine.prune.removal import cuts_for, zero_out
from worker.engine.prune.structured import Amount, Traced, choose, trace


def kept(traced: Traced, module: nn.Module, amount: Amount) -> tuple[Tensor, ...]:
    return choose(traced, importance(module, traced.groups, "magnitude"), amount)


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(3, 6),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    ratio=st.floats(0.2, 0.7),
    seed=st.integers(0, 1000),
)
def test_removing_channels_equals_zeroing_them(
    width: int, kinds: list[str], ratio: float, seed: int
) -> None:
    torch.manual_seed(seed)
    net = unsettle(Residual(width, kinds))
    traced = trace(net, (2, 5, 5))
    assert not traced.left_out
    units = kept(traced, net, Amount(ratio, "global"))
    cut, zeroed = copy.deepcopy(net), copy.deepcopy(net)
    apply_cuts(cut, cuts_for(traced.groups, units))
    zero_out(zeroed, traced.groups, units)
    x = torch.randn(3, 2, 5, 5)
    torch.testing.assert_close(cut(x), zeroed(x), rtol=1e-5, atol=1e-5)


def test_the_smallest_filters_go_with_all_that_reads_them() -> None:
    net: Any = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([5.0, 0.1, 3.0]).reshape(3, 1, 1, 1))
        net[3].weight.fill_(1.0)
    traced = trace(net, (1, 2, 2))
    (units,) = kept(traced, net, Amount(0.4))
    assert units.tolist() == [0]  # floor(3 · 0.6) of three
    (units,) = kept(traced, net, Amount(0.33))
    assert units.tolist() == [0, 2]
    plan = traced.plan([units])
    assert [(cut.kept, str(cut.where[0])) for cut in plan.cuts] == [
        ((0, 2), "0.weight:0"),
        # The linear layer sees each channel as four pixels.
        ((0, 1, 2, 3, 8, 9, 10, 11), "3.weight:1"),
    ]
    # 2 filters of 1 + bias; 8 inputs · 2 + bias. 4 pixels · 2 filters; 8 · 2.
    assert (plan.parameters, plan.macs) == (2 * 2 + 18, 8 + 16)


def test_as_many_weights_go_as_with_the_libraries_own_pruner() -> None:
    torch.manual_seed(0)
    ours = timm.create_model("resnet18", num_classes=10).eval()
    theirs = copy.deepcopy(ours)
    example = torch.randn(1, 3, 64, 64)
    pruner = tp.pruner.BasePruner(
        theirs,
        example,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.5,
        ignored_layers=[theirs.fc],
    )
    pruner.step()
    traced = trace(ours, (3, 64, 64))
    apply_cuts(ours, traced.plan(kept(traced, ours, Amount(0.5))).cuts)
    assert {n: t.shape for n, t in ours.state_dict().items()} == {
        n: t.shape for n, t in theirs.state_dict().items()
    }


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_built_in_architecture_is_pruned_whole_and_reloads_bit_for_bit(
    architecture: str, tmp_path: Path
) -> None:
    if "/" in architecture:
        pytest.skip("not built in")
    size = (3, 16, 16)
    config = ModelConfig(architecture, 10, size, (0.5,) * 3, (0.5,) * 3)
    net = build(config).eval()
    traced = trace(net, size)
    assert not traced.left_out
    plan = traced.plan(kept(traced, net, Amount(0.5)))
    assert parameters(net) / plan.parameters > 2
    apply_cuts(net, plan.cuts)
    step = {"kind": "prune", "cuts": [cut.to_json() for cut in plan.cuts]}
    pruned = ModelConfig(architecture, 10, size, (0.5,) * 3, (0.5,) * 3, compression=(step,))
    save_folder(net, pruned, tmp_path, "")
    loaded = load_folder(tmp_path)
    x = torch.randn(2, *size)
    assert torch.equal(loaded.module(x), net(x))
    assert (parameters(loaded.module), macs(loaded.module, size)) == (plan.parameters, plan.macs)


def test_a_pruned_model_is_pruned_again(tmp_path: Path) -> None:
    size = (3, 8, 8)
    config = ModelConfig("cifar_resnet8", 4, size, (0.0,) * 3, (1.0,) * 3)
    net = build(config).eval()
    steps = []
    for _ in range(2):
        traced = trace(net, size)
        plan = traced.plan(kept(traced, net, Amount(0.3)))
        apply_cuts(net, plan.cuts)
        steps.append({"kind": "prune", "cuts": [cut.to_json() for cut in plan.cuts]})
    twice = ModelConfig("cifar_resnet8", 4, size, (0.0,) * 3, (1.0,) * 3, compression=tuple(steps))
    save_folder(net, twice, tmp_path, "")
    x = torch.randn(2, *size)
    assert torch.equal(load_folder(tmp_path).module(x), net(x))


def test_heads_are_removed_whole_and_exactly() -> None:
    torch.manual_seed(0)
    net: Any = timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=24, depth=2, num_heads=4, num_classes=3
    ).eval()
    traced = trace(net, (3, 16, 16), ignored_layers=["patch_embed.*", "*.mlp"])
    assert [(g.name, g.size, g.is_attention) for g in traced.groups] == [
        ("blocks.0.attn", 4, True),
        ("blocks.1.attn", 4, True),
    ]
    units = [torch.tensor([0, 3]), torch.tensor([1, 2, 3])]
    cut, zeroed = copy.deepcopy(net), copy.deepcopy(net)
    apply_cuts(cut, cuts_for(traced.groups, units))
    zero_out(zeroed, traced.groups, units)
    assert [block.attn.num_heads for block in cut.blocks] == [2, 3]
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(cut(x), zeroed(x), rtol=1e-5, atol=1e-5)


def test_a_transformers_stream_is_cut_with_its_position_embedding() -> None:
    net: Any = timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=24, depth=1, num_heads=4, num_classes=3
    ).eval()
    traced = trace(net, (3, 16, 16))
    apply_cuts(net, traced.plan(kept(traced, net, Amount(0.5))).cuts)
    assert net.pos_embed.shape[-1] == 12
    assert (net.blocks[0].attn.num_heads, net.blocks[0].mlp.fc1.out_features) == (2, 48)
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 3)


def test_round_to_makes_widths_multiples_and_never_cuts_more() -> None:
    net = Residual(10, ["plain"]).eval()  # widths 10 and 6
    traced = trace(net, (2, 5, 5))
    plan = traced.plan(kept(traced, net, Amount(0.5, round_to=4)))
    assert [(g.name, g.before, g.after) for g in plan.groups] == [
        ("stem", 10, 8),
        ("blocks.0.0", 6, 4),
    ]


def test_layers_are_ignored_and_given_ratios_by_glob() -> None:
    net = Residual(8, ["plain", "concat"]).eval()
    traced = trace(net, (2, 5, 5), ignored_layers=["blocks.0"])
    assert [g.name for g in traced.groups] == ["blocks.1.left", "blocks.1.right"]
    units = kept(traced, net, Amount(0.5, layer_ratios={"*.right": 0.25}))
    assert [len(u) for u in units] == [4, 12]


def test_global_ranking_takes_from_the_layer_that_matters_less() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    traced = trace(net.eval(), (2,))
    scores = (torch.tensor([5.0, 6, 7, 8]), torch.tensor([1.0, 2, 3, 9]))
    units = choose(traced, scores, Amount(0.5, "global"))
    # Of eight units four stay: 9, 8, 7, 6.
    assert [u.tolist() for u in units] == [[1, 2, 3], [3]]
    units = choose(traced, scores, Amount(0.5, "global", max_pruning_ratio=0.5))
    # Each layer keeps at least two of its four.
    assert [u.tolist() for u in units] == [[2, 3], [2, 3]]


def test_cutting_a_layer_to_nothing_names_it() -> None:
    net = Residual(8, ["plain"]).eval()
    traced = trace(net, (2, 5, 5))
    with pytest.raises(NotPrunable, match=r"0\.9 leaves nothing of the 8 channels of stem"):
        kept(traced, net, Amount(0.9))
    assert [len(units) for units in kept(traced, net, Amount(0.9, keep_one=True))] == [1, 1]


def test_a_ratio_that_prunes_nothing_is_an_error() -> None:
    net = Residual(8, ["plain"]).eval()
    traced = trace(net, (2, 5, 5))
    with pytest.raises(NotPrunable, match="nothing would be pruned"):
        traced.plan(kept(traced, net, Amount(0.0)))


def test_a_network_that_cannot_be_traced_is_an_error() -> None:
    class Opaque(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return x * float(x.numpy().sum())

    with pytest.raises(NotPrunable):
        trace(Opaque(), (4,))


def test_a_layer_that_counts_on_its_width_is_left_out() -> None:
    class Rigid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 6)
            self.last = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x).relu().reshape(-1, 2, 3).flatten(1)
            logits: Tensor = self.last(self.second(hidden).relu())
            return logits

    traced = trace(Rigid().eval(), (4,))
    assert [g.name for g in traced.groups] == ["second"]
    assert traced.left_out == ("first",)


@pytest.mark.parametrize("pattern", ["nothing", "layer9.*"])
def test_ignoring_a_layer_that_does_not_exist_is_an_error(pattern: str) -> None:
    with pytest.raises(NotPrunable, match="no layer"):
        trace(Residual(8, ["plain"]), (2, 5, 5), ignored_layers=[pattern])
