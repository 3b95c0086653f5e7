"""One interface to everything that prunes: an amount goes in, a pruned copy comes out."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, assert_never

import torch
from torch import Tensor, nn

from worker.engine.data.split import Data
from worker.engine.errors import NotPrunable
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.prune import adaptive, masks
from worker.engine.prune.allocate import NOTHING_BEFORE
from worker.engine.prune.cuts import Cut, apply_cuts
from worker.engine.prune.importance import NEEDS_GRADIENTS, importance, mean_gradients
from worker.engine.prune.masks import Masks
from worker.engine.prune.recipe import Recipe
from worker.engine.prune.structured import Plan, Traced, choose, trace


@dataclass(frozen=True)
class Pruned:
    """A pruned copy, on the CPU in evaluation mode; `cuts` or `masks` say what was done."""

    module: nn.Module
    cuts: tuple[Cut, ...] = ()
    masks: Masks | None = None


@dataclass(frozen=True)
class Estimate:
    """What a network would be: `parameters` counts those that are not zero."""

    parameters: int
    macs: int
    size_bytes: int


class Pruner(Protocol):
    """Prunes one network by any amount, always from the network as it was given."""

    @property
    def module(self) -> nn.Module:
        """That network."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The units of each group, by name; none where weights go one by one."""

    def prune(self, amount: float, progress: float = 1.0) -> Pruned:
        """A pruned copy. `progress` is the share of a schedule's way that is gone: ratios of
        single layers are times it. Raises `NotPrunable` naming a layer."""

    def estimate(self, amount: float) -> Estimate:
        """The same without weights: what would be left. Raises as `prune` does."""

    def can(self, amount: float, progress: float = 1.0) -> bool:
        """Whether `amount` removes something, and leaves something of every layer."""


def make_pruner(
    module: nn.Module,
    recipe: Recipe,
    data: Data,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    held: Masks | None = None,
    measured: tuple[adaptive.Sensitivity, ...] | None = None,
    before: Mapping[str, int] = NOTHING_BEFORE,
) -> Pruner:
    """The pruner of a recipe. `held` are masks whose zeros stay zeros, `measured` a scan of this
    module from before. `before` are the units of groups, by name, that amounts are shares of,
    where earlier cuts have taken some.

    Looks at training examples for criteria of gradients, and at validation examples for adaptive
    allocation, which takes a forward pass of the split for every group and ratio.
    """
    input_size = data.input_size
    match recipe.method:
        case "structured":
            made = _structured(module, recipe, data, mean, std, device, measured)
            return replace(made, before=before)
        case "unstructured" | "n_m" | "structured_mask":
            names = masks.maskable(module, recipe.ignored_layers)
            return MaskPruner(module, recipe, names, input_size, held)
        case _:
            assert_never(recipe.method)


@dataclass(frozen=True)
class StructuredPruner:
    """Removes units by their scores; `sensitivity` is there for adaptive allocation."""

    module: nn.Module
    recipe: Recipe
    traced: Traced
    scores: tuple[Tensor, ...]
    sensitivity: tuple[adaptive.Sensitivity, ...] | None = None
    before: Mapping[str, int] = field(default_factory=lambda: NOTHING_BEFORE)

    @property
    def sizes(self) -> dict[str, int]:
        return {group.name: group.size for group in self.traced.groups}

    def plan(self, amount: float, progress: float = 1.0) -> Plan:
        """What would be cut."""
        wanted = self.recipe.amount(amount, progress, self.before)
        if self.sensitivity is None:
            return self.traced.plan(choose(self.traced, self.scores, wanted))
        uniform = self.traced.plan(choose(self.traced, self.scores, wanted))
        return adaptive.plan(self.traced, self.scores, self.sensitivity, wanted, uniform.macs)

    def prune(self, amount: float, progress: float = 1.0) -> Pruned:
        cuts = self.plan(amount, progress).cuts
        cut = copy.deepcopy(self.module).to("cpu").eval()
        apply_cuts(cut, cuts)
        return Pruned(cut, cuts)

    def can(self, amount: float, progress: float = 1.0) -> bool:
        wanted = self.recipe.amount(amount, progress, self.before)
        try:
            kept = choose(self.traced, self.scores, wanted)
        except NotPrunable:
            return False
        return any(len(k) < g.size for g, k in zip(self.traced.groups, kept, strict=True))

    def estimate(self, amount: float) -> Estimate:
        plan = self.plan(amount)
        return Estimate(plan.parameters, plan.macs, 4 * plan.parameters)


@dataclass(frozen=True)
class MaskPruner:
    """Sets weights of the named tensors to zero."""

    module: nn.Module
    recipe: Recipe
    names: tuple[str, ...]
    input_size: tuple[int, ...]
    held: Masks | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        return NOTHING_BEFORE

    def plan(self, amount: float) -> Masks:
        """What would stay. Raises `NotPrunable` where that is all."""
        made = self._masks(amount)
        if all(bool(mask.all()) for mask in made.values()):
            raise NotPrunable(
                f"nothing would be pruned: {amount:g} is less than one weight of {self.names[0]}, "
                "and of every other layer",
                hint="Ask for a larger share.",
            )
        return made

    def _masks(self, amount: float) -> Masks:
        recipe, names = self.recipe, self.names
        match recipe.method:
            case "n_m":
                return masks.n_m_masks(self.module, names, recipe.n, recipe.m)
            case "structured_mask":
                # The last layer's filters are the classes.
                return masks.filter_masks(self.module, names[:-1], amount)
            case "unstructured" | "structured":
                return masks.weight_masks(
                    self.module,
                    names,
                    amount,
                    importance="random" if recipe.importance == "random" else "magnitude",
                    is_global=recipe.allocation == "global",
                    seed=recipe.seed,
                    held=self.held,
                )
            case _:
                assert_never(recipe.method)

    def prune(self, amount: float, progress: float = 1.0) -> Pruned:
        made = self.plan(amount)
        sparse = copy.deepcopy(self.module).to("cpu").eval()
        masks.apply_masks(sparse, made)
        return Pruned(sparse, masks=made)

    def can(self, amount: float, progress: float = 1.0) -> bool:
        return 0 < amount < 1

    def estimate(self, amount: float) -> Estimate:
        made = self.plan(amount)
        gone = sum(int((~mask).sum()) for mask in made.values())
        bits = sum(mask.numel() for mask in made.values())
        count, left = macs(self.module, self.input_size), parameters(self.module) - gone
        assert count is not None  # a network of layers always has a count
        # Packed, a tensor has two entries in the header of the file, and its shape.
        return Estimate(left, count, 4 * left + bits // 8 + 256 * len(made))


def _structured(
    module: nn.Module,
    recipe: Recipe,
    data: Data,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    measured: tuple[adaptive.Sensitivity, ...] | None,
) -> StructuredPruner:
    traced = trace(module, data.input_size, recipe.ignored_layers)
    gradients = None
    if recipe.importance in NEEDS_GRADIENTS:
        asked = copy.deepcopy(module)
        gradients = mean_gradients(
            asked, data.train, tuple(mean), tuple(std), recipe.importance, device
        )
    scores = importance(
        module, traced.groups, recipe.importance, gradients=gradients, seed=recipe.seed
    )
    pruner = StructuredPruner(module, recipe, traced, scores)
    if recipe.allocation != "adaptive":
        return pruner
    names = [group.name for group in traced.groups]
    # A scan of other groups is of another version's eyes.
    if measured is None or [one.name for one in measured] != names:
        measured = adaptive.scan(
            module, traced, scores, data.validation, mean=mean, std=std, device=device
        )
    return replace(pruner, sensitivity=measured)
