"""Each layer its own ratio, by what its channels are worth. Shapes: U units of a group.

A scan cuts one group at a time and looks at the loss. A plan then takes from every group the
ratio with the least damage + λ · MACs, and λ is searched for the MACs that are wanted: the
relaxed knapsack, as if damages added up.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from worker.engine.data.split import Split
from worker.engine.errors import NotPrunable
from worker.engine.prune.allocate import uniform
from worker.engine.prune.cuts import apply_cuts
from worker.engine.prune.removal import cuts_for
from worker.engine.prune.structured import Amount, Plan, Traced
from worker.engine.train.evaluate import evaluate

RATIOS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_EXAMPLES: Final = 512
_BISECTIONS: Final = 24


@dataclass(frozen=True)
class Sensitivity:
    """What one group's cuts do alone, ratio by ratio from 0: validation accuracy, cross-entropy,
    and about how many MACs the whole network has."""

    name: str
    ratios: tuple[float, ...]
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]
    macs: tuple[float, ...]


def scan(
    module: nn.Module,
    traced: Traced,
    scores: Sequence[Tensor],
    split: Split,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    ratios: Sequence[float] = RATIOS,
    on_group: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Sensitivity, ...]:
    """Cut each group alone by each ratio and score it on at most 512 examples of `split`."""
    few = Split(split.x[:_EXAMPLES], split.y[:_EXAMPLES])
    whole = evaluate(module, few, mean, std, device=device)
    everything = [torch.arange(group.size) for group in traced.groups]
    count = float(traced.macs)
    curves = []
    for number, (group, score_U) in enumerate(zip(traced.groups, scores, strict=True)):
        on_group(number, len(traced.groups))
        points = [(0.0, whole.accuracy, whole.loss, count)]
        for ratio in ratios:
            try:
                (kept,) = uniform([group], [score_U], [ratio], max_pruning_ratio=1.0)
            except NotPrunable:
                break
            if len(kept) == group.size:
                continue
            one = [*everything[:number], kept, *everything[number + 1 :]]
            cut = copy.deepcopy(module)
            apply_cuts(cut, cuts_for(traced.groups, one))
            seen = evaluate(cut, few, mean, std, device=device)
            points.append((ratio, seen.accuracy, seen.loss, traced.about_macs(one)))
        curves.append(Sensitivity(group.name, *zip(*points, strict=True)))
    return tuple(curves)


def plan(
    traced: Traced,
    scores: Sequence[Tensor],
    curves: Sequence[Sensitivity],
    amount: Amount,
    macs: int,
) -> Plan:
    """The plan of least damage with at most `macs`, or as near to it as the limits of `amount`
    allow. Raises `NotPrunable` for none to cut."""

    # Curves are of what is there now, limits of what was there before earlier cuts.
    left = [g.size / amount.before.get(g.name, g.size) for g in traced.groups]

    def at(price: float) -> tuple[Tensor, ...]:
        ratios = [
            1 - share * (1 - _cheapest(curve, price, 1 - (1 - amount.max_pruning_ratio) / share))
            for curve, share in zip(curves, left, strict=True)
        ]
        return uniform(
            traced.groups,
            scores,
            ratios,
            max_pruning_ratio=amount.max_pruning_ratio,
            round_to=amount.round_to,
            keep_one=amount.keep_one,
            before=amount.before,
        )

    # Damage is in nats, MACs are counted as a share of the whole: prices span many magnitudes.
    low, high = -12.0, 12.0
    best = at(2.0**high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        tried = at(2.0**middle)
        if traced.about_macs(tried) <= macs:
            best, high = tried, middle
        else:
            low = middle
    return traced.plan(best)


def _cheapest(curve: Sensitivity, price: float, most: float) -> float:
    whole = curve.macs[0]
    costs = [
        (max(loss - curve.losses[0], 0.0) + price * count / whole, -ratio)
        for ratio, loss, count in zip(curve.ratios, curve.losses, curve.macs, strict=True)
        if ratio <= max(most, 0.0)
    ]
    return -min(costs)[1]
