"""Removing channels, neurons and heads: trace once, then plan as many cuts as one likes."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal, assert_never

import torch
from torch import Tensor, nn

from worker.engine.errors import NotPrunable
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.prune.allocate import NOTHING_BEFORE, ranked, ratios_by_name, uniform
from worker.engine.prune.cuts import Cut, apply_cuts
from worker.engine.prune.graph import Dependencies, Group, dependencies
from worker.engine.prune.layers import LayerFacts, layer_facts
from worker.engine.prune.removal import cuts_for
from worker.engine.prune.safe import safe_groups

Allocation = Literal["uniform", "global"]


@dataclass(frozen=True)
class GroupPlan:
    """What a group of coupled layers keeps, in channels, or heads for attention."""

    name: str
    layers: tuple[str, ...]
    before: int
    after: int
    is_attention: bool


@dataclass(frozen=True)
class Plan:
    """A cut that was not made yet, and what the network would be after it."""

    cuts: tuple[Cut, ...]
    groups: tuple[GroupPlan, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Traced:
    """A network's groups, and a copy of it without weights on which cuts are tried.

    `left_out` names groups that cannot be cut: their layers count on their own width, or what
    reads their channels cannot be followed.
    """

    shadow: nn.Module
    input_size: tuple[int, ...]
    groups: tuple[Group, ...]
    left_out: tuple[str, ...]

    def about_macs(self, kept: Sequence[Tensor]) -> float:
        """MACs of a plan without running it: those of convolutions and linear layers shrink with
        their weights. Where heads go, a little of attention itself is counted too much."""
        shares: dict[str, float] = {}
        for cut in cuts_for(self.groups, kept):
            for place in cut.where:
                share = len(cut.kept) / cut.of
                shares[place.name] = shares.get(place.name, 1.0) * share
        spared = sum(
            layer.macs * (1 - shares.get(f"{layer.name}.weight", 1.0)) for layer in self._layers
        )
        return self.macs - spared

    @cached_property
    def macs(self) -> int:
        """MACs of the network before any cut, counted as those of a plan are."""
        return _macs(self.shadow, self.input_size)

    @cached_property
    def _layers(self) -> tuple[LayerFacts, ...]:
        return layer_facts(self.shadow, self.input_size)

    def plan(self, kept: Sequence[Tensor]) -> Plan:
        """The plan that keeps these units of each group. Raises `NotPrunable` for none to cut."""
        cuts = cuts_for(self.groups, kept)
        if not cuts:
            first = self.groups[0]
            raise NotPrunable(
                f"nothing would be pruned: {first.name} keeps all of its {first.size} units, "
                "and so does every other layer",
                hint="Ask for a larger ratio, or a smaller `round_to`.",
            )
        cut = copy.deepcopy(self.shadow)
        apply_cuts(cut, cuts)
        return Plan(
            cuts=cuts,
            groups=tuple(_shown(g, k) for g, k in zip(self.groups, kept, strict=True)),
            parameters=parameters(cut),
            macs=_macs(cut, self.input_size),
        )


@dataclass(frozen=True)
class Amount:
    """How much to cut: `ratio` of the units, in each group or, `global`, of all together.

    `layer_ratios` are for layers by name or glob, in `uniform` only. `round_to` makes widths
    multiples of it. No group loses more than `max_pruning_ratio`; whether it may lose all, or
    `keep_one` holds instead, is said here for `uniform`. All are shares of the units that groups,
    by name, had `before` earlier cuts, where that is given.
    """

    ratio: float
    allocation: Allocation = "uniform"
    layer_ratios: Mapping[str, float] | None = None
    max_pruning_ratio: float = 1.0
    round_to: int = 1
    keep_one: bool = False
    before: Mapping[str, int] = field(default_factory=lambda: NOTHING_BEFORE)

    def __post_init__(self) -> None:
        ratios = (self.ratio, *(self.layer_ratios or {}).values())
        if not all(0 <= ratio < 1 for ratio in ratios):
            raise ValueError(f"a pruning ratio must be in [0, 1), got {ratios}")
        if not 0 < self.max_pruning_ratio <= 1:
            raise ValueError(f"max_pruning_ratio must be in (0, 1], got {self.max_pruning_ratio}")
        if self.round_to < 1:
            raise ValueError(f"round_to must be at least 1, got {self.round_to}")


def trace(
    module: nn.Module, input_size: Sequence[int], ignored_layers: Sequence[str] = ()
) -> Traced:
    """Find what can be cut. `ignored_layers` are names or globs; a container stands for all in it.

    `module` stays as it is. Raises `NotPrunable` where nothing can be cut.
    """
    ignored = _ignored(module, ignored_layers)
    shadow, found = _shadow_and_groups(module, tuple(input_size), ignored)
    groups = found.groups
    safe = safe_groups(module, shadow, groups, tuple(input_size))
    names = {group.name for group in safe}
    unsafe = tuple(group.name for group in groups if group.name not in names)
    if not safe:
        raise NotPrunable(
            f"no layer can be pruned: {_reason(unsafe, found.abandoned)}",
            hint="Prune it with `unstructured`, or choose another architecture.",
        )
    order = [name for name, _ in module.named_modules()]
    left_out = tuple(sorted({*unsafe, *found.abandoned}, key=order.index))
    return Traced(shadow, tuple(input_size), safe, left_out)


def choose(traced: Traced, scores: Sequence[Tensor], amount: Amount) -> tuple[Tensor, ...]:
    """The kept units of each group, by importance. Raises `NotPrunable` naming a layer."""
    match amount.allocation:
        case "uniform":
            return uniform(
                traced.groups,
                scores,
                ratios_by_name(traced.groups, amount.ratio, amount.layer_ratios or {}),
                max_pruning_ratio=amount.max_pruning_ratio,
                round_to=amount.round_to,
                keep_one=amount.keep_one,
                before=amount.before,
            )
        case "global":
            return ranked(
                traced.groups,
                scores,
                amount.ratio,
                max_pruning_ratio=amount.max_pruning_ratio,
                round_to=amount.round_to,
                before=amount.before,
            )
        case _:
            assert_never(amount.allocation)


def _reason(unsafe: Sequence[str], abandoned: Sequence[str]) -> str:
    if unsafe:
        return f"{unsafe[0]} counts on its width"
    if abandoned:
        return f"not all that reads the channels of {abandoned[0]} can be followed"
    return "none has a free width"


def _macs(module: nn.Module, input_size: tuple[int, ...]) -> int:
    count = macs(module, input_size)
    assert count is not None  # a network of layers always has a count
    return count


def _shown(group: Group, kept: Tensor) -> GroupPlan:
    width = 1 if group.is_attention else group.units.shape[1]
    return GroupPlan(
        group.name, group.layers, group.size * width, len(kept) * width, group.is_attention
    )


def _shadow_and_groups(
    module: nn.Module, input_size: tuple[int, ...], ignored: frozenset[str]
) -> tuple[nn.Module, Dependencies]:
    shadow = copy.deepcopy(module).to("meta").eval()
    try:
        example = torch.empty(1, *input_size, device="meta")
        return shadow, dependencies(copy.deepcopy(shadow), example, ignored)
    except NotPrunable:
        # Some networks look at values on their way, which tensors without storage do not have.
        shadow = copy.deepcopy(module).to("cpu").eval()
        return shadow, dependencies(copy.deepcopy(shadow), torch.zeros(1, *input_size), ignored)


def _ignored(module: nn.Module, patterns: Sequence[str]) -> frozenset[str]:
    names = [name for name, _ in module.named_modules() if name]
    ignored: set[str] = set()
    for pattern in patterns:
        roots = [name for name in names if fnmatchcase(name, pattern)]
        if not roots:
            raise NotPrunable(
                f"there is no layer {pattern!r} to ignore",
                hint="Mend `ignored_layers`: names and globs of the model's own layers.",
            )
        ignored.update(n for n in names if any(n == r or n.startswith(f"{r}.") for r in roots))
    return frozenset(ignored)
