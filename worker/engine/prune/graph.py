"""Which channels of a network stand or fall together.

torch-pruning's dependency graph (Fang et al. 2023, arXiv:2301.12900) is asked for the couplings;
what comes out here are plain values by tensor name, all in the numbering of the whole network, so
that one graph serves any number of plans.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm
from typing import Any, Final, Literal

import torch
import torch_pruning as tp
from torch import Tensor, nn

from worker.engine.prune.attention import Attention, find_attention
from worker.engine.prune.tracing import coupling
from worker.engine.prune.walk import Walk, coupled

Role = Literal["output", "input", "norm", "other"]
_OPS: Final = tp.ops.OPTYPE


@dataclass(frozen=True)
class Member:
    """A place that loses `indices` of `axis` (see `cuts.Place`) as the roots at `roots` go.

    `role` says what a slice of the tensor is: a filter, the column of an input, a norm's scale.
    """

    name: str
    axis: int | str
    size: int
    indices: Tensor
    roots: Tensor
    role: Role


@dataclass(frozen=True)
class Group:
    """Channels that are removed together with all that depends on them.

    `units` [U, R] are the smallest removable sets of root channels: one channel; one of each
    block where convolutions or norms are grouped; one attention head. `name` is a layer's.
    `exact` says that removing a unit equals zeroing it: no norm over channels sees the rest.
    """

    name: str
    units: Tensor
    members: tuple[Member, ...]
    exact: bool = True
    is_attention: bool = False

    @property
    def size(self) -> int:
        """Number of units."""
        return len(self.units)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layers that lose outputs, the first one giving the group its name."""
        owners = (m.name.rpartition(".")[0] for m in self.members if m.role == "output")
        return tuple(dict.fromkeys((self.name, *owners)))


@dataclass(frozen=True)
class Dependencies:
    """What can be tried, and the layers whose channels could not be followed to their ends."""

    groups: tuple[Group, ...]
    abandoned: tuple[str, ...]


def dependencies(module: nn.Module, example: Tensor, ignored: frozenset[str]) -> Dependencies:
    """The groups of `module`, in the order of its layers, none with a layer named in `ignored`.

    `module` is changed (gradients are switched on): pass a copy. The classifier is in no group,
    and is not abandoned.
    """
    attention = find_attention(module)
    inner = {name for block in attention for name in block.inner}
    traced = coupling(module, example)
    names = {layer: name for name, layer in module.named_modules()}
    groups, abandoned = [], []
    for walk in coupled(traced):
        if _must_stay(traced.graph, walk, names, inner):
            continue
        group = _group(traced.graph, walk, names)
        if group is not None:
            groups.append(group)
        else:
            abandoned.append(names[walk.found[0].node.module])
    groups += [_heads(module, block) for block in attention]
    order = {name: number for number, name in enumerate(names.values())}
    named = [replace(g, name=min(g.layers, key=lambda name: order[name])) for g in groups]
    return Dependencies(
        tuple(
            group
            for group in sorted(named, key=lambda group: order[group.name])
            if group.size > 1 and not ignored.intersection(group.layers)
        ),
        tuple(name for name in sorted(abandoned, key=order.__getitem__) if name not in ignored),
    )


def _must_stay(graph: Any, walk: Walk, names: dict[Any, str], inner: set[str]) -> bool:
    """Whether channels are the network's outputs, an attention's, whose heads are a group of their
    own, or a single one."""
    if walk.understood and len(walk.found[0].indices) < 2:
        return True
    for item in walk.found:
        node, layer = item.node, item.node.module
        is_output = graph.is_out_channel_pruning_fn(item.handler)
        name = _name(graph, layer, names)
        if node.type == _OPS.OUTPUT or (not node.outputs and is_output and name is not None):
            return True
        if f"{name}:{'out' if is_output else 'in'}" in inner:
            return True
    return False


def _group(graph: Any, walk: Walk, names: dict[Any, str]) -> Group | None:
    """None for channels that are not understood."""
    if not walk.understood:
        return None
    root = walk.found[0].node.module
    members: list[Member] = []
    blocks, exact = 1, True
    for item in walk.found:
        node, layer = item.node, item.node.module
        is_output = graph.is_out_channel_pruning_fn(item.handler)
        name = _name(graph, layer, names)
        if node.type in (_OPS.MHA, _OPS.LSTM):
            return None
        if name is None:
            continue
        if None in item.roots:
            return None
        blocks = lcm(blocks, _blocks(layer, node.type))
        exact = exact and node.type not in (_OPS.LN, _OPS.GN)
        places = _places(node, layer, name, is_output)
        members += _members(places, item.indices, item.roots)
    units = _units(len(walk.found[0].indices), blocks, walk.pairs)
    if not members or units is None:
        return None
    return Group(names[root], units, tuple(members), exact)


def _name(graph: Any, layer: Any, names: dict[Any, str]) -> str | None:
    """Of a layer or parameter; an operation without weights has none."""
    known = graph._param_to_name if isinstance(layer, nn.Parameter) else names
    name: str | None = known.get(layer)
    return name


def _units(channels: int, blocks: int, pairs: Iterable[tuple[int, int]]) -> Tensor | None:
    """The smallest sets of roots that go together: one of each block, or those that meet, as the
    two halves of a gated layer do. None where the sets differ in size."""
    if channels % blocks:
        return None
    together = list(range(channels))  # the smallest root of each root's set
    for one, other in sorted(tuple(sorted(pair)) for pair in pairs):
        small, large = sorted((together[one], together[other]))
        together = [small if label == large else label for label in together]
    if len(set(together)) == channels:
        units = torch.arange(channels).reshape(blocks, -1).T.contiguous()
        return units if len(units) > 1 else None
    sets: dict[int, list[int]] = {}
    for root, label in enumerate(together):
        sets.setdefault(label, []).append(root)
    if blocks > 1 or len({len(one) for one in sets.values()}) > 1 or len(sets) == 1:
        return None
    return torch.tensor(list(sets.values()))


def _blocks(layer: Any, kind: Any) -> int:
    """How many blocks of channels must stay equally wide."""
    if kind == _OPS.CONV:
        return int(layer.groups)
    return int(layer.num_groups) if kind == _OPS.GN else 1


@dataclass(frozen=True)
class _Place:
    name: str
    axis: int | str
    size: int
    role: Role


def _places(node: Any, layer: Any, name: str, is_output: bool) -> Iterator[_Place]:
    """What of a layer's tensors goes with its channels."""
    match node.type:
        case _OPS.CONV:
            axis = int(is_output == layer.transposed)
            role: Role = "output" if is_output else "input"
            yield _Place(f"{name}.weight", axis, layer.weight.shape[axis], role)
        case _OPS.DEPTHWISE_CONV:
            yield _Place(f"{name}.weight", 0, layer.weight.shape[0], "output")
        case _OPS.LINEAR:
            axis = int(not is_output)
            role = "output" if is_output else "input"
            yield _Place(f"{name}.weight", axis, layer.weight.shape[axis], role)
        case _OPS.BN | _OPS.IN | _OPS.LN | _OPS.GN | _OPS.PRELU:
            for tensor in ("weight", "running_mean", "running_var"):
                value = getattr(layer, tensor, None)
                if value is not None and value.ndim == 1 and len(value) > 1:
                    role = "norm" if tensor == "weight" and node.type != _OPS.PRELU else "other"
                    yield _Place(f"{name}.{tensor}", 0, len(value), role)
        case _OPS.EMBED:
            yield _Place(f"{name}.weight", 1, layer.embedding_dim, "other")
        case _OPS.PARAMETER:
            last = node.pruning_dim % layer.ndim
            yield _Place(name, last, layer.shape[last], "other")
            return
        case _OPS.CUSTOMIZED:
            side = "out" if is_output else "in"
            yield _Place(name, side, len(layer.sources) if is_output else layer.channels, "other")
            return
        case _:
            return
    if getattr(layer, "bias", None) is not None and (
        is_output or node.type not in (_OPS.CONV, _OPS.LINEAR)
    ):
        yield _Place(f"{name}.bias", 0, len(layer.bias), "other")


def _members(
    places: Iterator[_Place], indices: Sequence[int], roots: Sequence[int | None]
) -> Iterator[Member]:
    at, root = torch.tensor(indices), torch.tensor(roots)
    for place in places:
        # A grouped convolution has the columns of one block, which stand for all blocks.
        here = at < place.size
        yield Member(place.name, place.axis, place.size, at[here], root[here], place.role)


def _heads(module: nn.Module, block: Attention) -> Group:
    """The heads of one attention as a group: queries, keys, values, and what reads them."""
    width = block.heads * block.head_size
    roots = torch.arange(width)
    units = roots.reshape(block.heads, block.head_size)
    members = []
    for name, axis, copies, role in block.places(module):
        indices = torch.arange(width * copies)
        members.append(Member(name, axis, width * copies, indices, indices % width, role))
    heads = torch.arange(block.heads)
    for name, where in block.per_head(module):
        members.append(Member(name, where, block.heads, heads, heads * block.head_size, "other"))
    return Group(block.name, units, tuple(members), is_attention=True)
