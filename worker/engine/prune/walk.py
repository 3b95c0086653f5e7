"""Walking torch-pruning's dependency graph.

Its own walk compares whole lists of indices at every step and follows each list anew: through the
patch merging of torchvision's Swin it takes memory without end. Here a place is entered once for
each of its indices.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch_pruning as tp
from torch_pruning._helpers import _HybridIndex

_ROOTS: Final = (tp.ops.TORCH_CONV, tp.ops.TORCH_LINEAR)


@dataclass
class Found:
    """A node of the graph, the side of it that loses channels, and which, with their roots."""

    node: Any
    handler: Any
    indices: list[int] = field(default_factory=list)
    roots: list[int | None] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)


def coupled(graph: Any) -> Iterator[list[Found]]:
    """All that goes with each layer's outputs, the layer first; each layer is in one list."""
    visited: set[Any] = set()
    for layer in list(graph.module2node):
        if not isinstance(layer, _ROOTS) or layer in visited:
            continue
        pruner = graph.get_pruner_of_module(layer)
        group = _from(graph.module2node[layer], pruner.prune_out_channels, pruner, layer)
        for found in group:
            if graph.is_out_channel_pruning_fn(found.handler):
                visited.add(found.node.module)
        yield group


def _from(root: Any, handler: Any, pruner: Any, layer: Any) -> list[Found]:
    start = [_HybridIndex(idx=i, root_idx=i) for i in range(pruner.get_out_channels(layer))]
    entered: dict[tuple[int, Any], Found] = {}
    _enter(entered, root, handler, start)
    waiting = [(root, handler, start)]
    while waiting:
        node, fn, arriving = waiting.pop()
        for dependency in node.dependencies:
            if not dependency.is_triggered_by(fn):
                continue
            mapped = arriving
            for mapping in dependency.index_mapping:
                mapped = mapped if mapping is None else mapping(mapped)
            fresh = _enter(entered, dependency.target, dependency.handler, mapped)
            if fresh:
                waiting.append((dependency.target, dependency.handler, fresh))
    return list(entered.values())


def _enter(
    entered: dict[tuple[int, Any], Found], node: Any, handler: Any, arriving: list[Any]
) -> list[Any]:
    """What of `arriving` was not there before."""
    if not arriving:
        return []  # other channels' way
    found = entered.setdefault((id(node), handler), Found(node, handler))
    fresh = []
    for index in arriving:
        if index.idx not in found.seen:
            found.seen.add(index.idx)
            found.indices.append(index.idx)
            found.roots.append(index.root_idx)
            fresh.append(index)
    return fresh
