"""Walking torch-pruning's dependency graph.

Its own walk compares whole lists of indices at every step and follows each list anew, without end
where a misread operation makes indices grow. Here a place is entered once for each of its indices.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch_pruning as tp
from torch_pruning._helpers import _HybridIndex

from worker.engine.prune.tracing import Coupling

_ROOTS: Final = (tp.ops.TORCH_CONV, tp.ops.TORCH_LINEAR)


@dataclass
class Found:
    """A node of the graph, the side of it that loses channels, and which, with their roots."""

    node: Any
    handler: Any
    indices: list[int] = field(default_factory=list)
    roots: list[int | None] = field(default_factory=list)
    seen: dict[int, int | None] = field(default_factory=dict)


@dataclass
class Walk:
    """All that goes with one layer's outputs, that layer first.

    `pairs` are roots that meet in one index somewhere: they go together. Of a walk that is not
    `understood` nothing may go: it came through a place that cannot be followed.
    """

    found: list[Found] = field(default_factory=list)
    pairs: set[tuple[int, int]] = field(default_factory=set)
    understood: bool = True


def coupled(traced: Coupling) -> Iterator[Walk]:
    """A walk from each layer, but none from layers that an earlier walk came by."""
    graph = traced.graph
    visited: set[Any] = set()
    for layer in list(graph.module2node):
        if not isinstance(layer, _ROOTS) or layer in visited:
            continue
        pruner = graph.get_pruner_of_module(layer)
        walk = _from(traced, graph.module2node[layer], pruner.prune_out_channels)
        for found in walk.found:
            if graph.is_out_channel_pruning_fn(found.handler):
                visited.add(found.node.module)
        yield walk


def _from(traced: Coupling, root: Any, handler: Any) -> Walk:
    walk, entered = Walk(), dict[tuple[int, Any], Found]()
    width = traced.graph.get_out_channels(root)
    start = [_HybridIndex(idx=i, root_idx=i) for i in range(width)]
    _enter(walk, entered, root, handler, start)
    waiting = [(root, handler, start)]
    while waiting and walk.understood:
        node, fn, arriving = waiting.pop()
        for dependency in node.dependencies:
            if not dependency.is_triggered_by(fn):
                continue
            mapped = arriving
            for mapping in dependency.index_mapping:
                mapped = mapped if mapping is None else mapping(mapped)
            target = dependency.target
            if mapped and (target in traced.opaque or _is_beyond(traced, dependency, mapped)):
                walk.understood = False
                break
            fresh = _enter(walk, entered, target, dependency.handler, mapped)
            if fresh:
                waiting.append((target, dependency.handler, fresh))
    walk.found = list(entered.values())
    return walk


def _is_beyond(traced: Coupling, dependency: Any, indices: list[Any]) -> bool:
    """Whether a layer is said to lose channels that it, or between layers any, does not have."""
    graph = traced.graph
    is_output = graph.is_out_channel_pruning_fn(dependency.handler)
    ask = graph.get_out_channels if is_output else graph.get_in_channels
    width = ask(dependency.target) or traced.widest
    return bool(max(index.idx for index in indices) >= width)


def _enter(
    walk: Walk, entered: dict[tuple[int, Any], Found], node: Any, handler: Any, arriving: list[Any]
) -> list[Any]:
    """What of `arriving` was not there before."""
    if not arriving:
        return []  # other channels' way
    found = entered.setdefault((id(node), handler), Found(node, handler))
    fresh = []
    for index in arriving:
        if index.idx not in found.seen:
            found.seen[index.idx] = index.root_idx
            found.indices.append(index.idx)
            found.roots.append(index.root_idx)
            fresh.append(index)
        elif (first := found.seen[index.idx]) != index.root_idx and first is not None:
            walk.pairs.add((first, index.root_idx))
    return fresh
