"""How many and which units each group keeps. Shapes: U units of a group."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from worker.engine.errors import NotPrunable
from worker.engine.prune.graph import Group

NOTHING_BEFORE: Final[Mapping[str, int]] = MappingProxyType({})


def uniform(
    groups: Sequence[Group],
    scores: Sequence[Tensor],
    ratios: Sequence[float],
    *,
    max_pruning_ratio: float,
    round_to: int = 1,
    keep_one: bool = False,
    before: Mapping[str, int] = NOTHING_BEFORE,
) -> tuple[Tensor, ...]:
    """Every group loses its own ratio of its units, the least important first.

    Gives the kept units of each group, ascending. `round_to` rounds what is kept to a multiple,
    upwards, in channels. A group that would keep nothing keeps one unit with `keep_one`; without
    it that raises `NotPrunable` naming the layer. `before` has the units that groups, by name, had
    before earlier cuts: ratios and `max_pruning_ratio` are shares of those.
    """
    kept = []
    for group, scores_U, ratio in zip(groups, scores, ratios, strict=True):
        size = before.get(group.name, group.size)
        least = max(_least_count(size, max_pruning_ratio), int(keep_one))
        wanted = max(_kept_count(size, ratio), least)
        if not wanted:
            raise NotPrunable(
                f"a ratio of {ratio:g} leaves nothing of the {size} "
                f"{'heads' if group.is_attention else 'channels'} of {group.name}"
            )
        kept.append(_best(scores_U, _rounded(group, min(wanted, group.size), round_to)))
    return tuple(kept)


def ranked(
    groups: Sequence[Group],
    scores: Sequence[Tensor],
    ratio: float,
    *,
    max_pruning_ratio: float,
    round_to: int = 1,
    before: Mapping[str, int] = NOTHING_BEFORE,
) -> tuple[Tensor, ...]:
    """One ranking over all groups: together they lose `ratio` of their units.

    A group keeps at least 1 − `max_pruning_ratio` of its units, and one. `before` is as in
    `uniform`.
    """
    sizes = {group.name: group.size for group in groups} | dict(before)
    least = [
        min(group.size, max(1, _least_count(sizes[group.name], max_pruning_ratio)))
        for group in groups
    ]
    protected = [_protect(scores_U, count) for scores_U, count in zip(scores, least, strict=True)]
    everything = torch.cat(protected)
    # A group that earlier cuts left one unit is none any more, and keeps that one.
    alone = len(sizes) - len(groups)
    wanted = max(_kept_count(sum(sizes.values()), ratio) - alone, sum(least))
    flags = torch.zeros(len(everything), dtype=torch.bool)
    flags[everything.argsort(descending=True, stable=True)[:wanted]] = True
    counts = [int(part.sum()) for part in torch.split(flags, [group.size for group in groups])]
    return tuple(
        _best(scores_U, _rounded(group, count, round_to))
        for group, scores_U, count in zip(groups, scores, counts, strict=True)
    )


def ratios_by_name(
    groups: Sequence[Group], ratio: float, named: Mapping[str, float]
) -> tuple[float, ...]:
    """The ratio of each group: the first of `named` (names or globs of layers) that matches one
    of its layers, else `ratio`. Raises `NotPrunable` for a name that matches no group."""
    for pattern in named:
        if not any(matches(pattern, group) for group in groups):
            raise NotPrunable(
                f"no layer {pattern!r} can be pruned", hint="Mend `layer_ratios`: see `dry_run`."
            )
    return tuple(
        next((own for pattern, own in named.items() if matches(pattern, group)), ratio)
        for group in groups
    )


def matches(pattern: str, group: Group) -> bool:
    """Whether a name or glob means one of the group's layers."""
    return any(fnmatchcase(layer, pattern) for layer in group.layers)


def _kept_count(size: int, ratio: float) -> int:
    # 1e-9: 10 · (1 − 0.7) is 3.0000000000000004, 10 · (1 − 0.9) is 0.9999999999999998.
    return math.floor(size * (1 - ratio) + 1e-9)


def _least_count(size: int, most: float) -> int:
    return math.ceil(size * (1 - most) - 1e-9)


def _rounded(group: Group, count: int, round_to: int) -> int:
    if round_to <= 1 or group.is_attention:
        return count
    # A unit is a channel in each block; the width to round is that of all blocks.
    step = round_to // math.gcd(round_to, group.units.shape[1])
    return min(group.size, -(-count // step) * step)


def _best(scores_U: Tensor, count: int) -> Tensor:
    return scores_U.argsort(descending=True, stable=True)[:count].sort().values


def _protect(scores_U: Tensor, count: int) -> Tensor:
    safe = scores_U.clone()
    safe[_best(scores_U, count)] = torch.inf
    return safe
