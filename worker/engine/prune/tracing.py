"""torch-pruning's dependency graph of a network, mended where it is known to be wrong.

Version 1.6.1 takes axis 1 for the channels of every tensor of four axes, numbers the pieces of a
split by who reads them first, and gives up on the whole network for one operation that it cannot
measure. Autograd knows which axis and which piece it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from traceback import walk_tb
from typing import Any, Final

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch_pruning.dependency import index_mapping, shape_infer

from worker.engine.errors import NotPrunable
from worker.engine.prune.cuts import ChannelMap

_OPS: Final = tp.ops.OPTYPE
_UPDATES: Final = {
    _OPS.CONCAT: index_mapping.update_concat_index_mapping,
    _OPS.RESHAPE: index_mapping.update_reshape_index_mapping,
    _OPS.UNBIND: index_mapping.update_unbind_index_mapping,
    _OPS.EXPAND: index_mapping.update_expand_index_mapping,
}


@dataclass(frozen=True)
class Coupling:
    """The library's graph. Channels that pass a node of `opaque` must stay: nobody knows where
    they go."""

    graph: Any
    opaque: frozenset[Any]

    @cached_property
    def widest(self) -> int:
        """The most channels that any layer has."""
        asked = (self.graph.get_out_channels, self.graph.get_in_channels)
        nodes = self.graph.module2node.values()
        return max(ask(node) or 0 for node in nodes for ask in asked)


def coupling(module: nn.Module, example: Tensor) -> Coupling:
    """Trace `module`, whose gradients are switched on. Raises `NotPrunable`."""
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    maps = {type(layer) for layer in module.modules() if isinstance(layer, ChannelMap)}
    graph = tp.DependencyGraph()
    try:
        with torch.enable_grad():
            graph.build_dependency(
                module.eval(),
                example,
                forward_fn=lambda network, inputs: network(inputs),
                customized_pruners={kind: _MapPruner() for kind in maps},
                verbose=False,
            )
    # The library documents no errors, and follows networks that nobody has seen.
    except Exception as error:
        if not hasattr(graph, "module2node"):
            raise NotPrunable(
                f"cannot trace {_where(error, module)}: {type(error).__name__}: {error}",
                hint="Prune it with `unstructured`, or choose another architecture.",
            ) from error
    return Coupling(graph, frozenset(_mend(graph)))


def _where(error: Exception, module: nn.Module) -> str:
    """The innermost layer that was running."""
    names = {layer: name for name, layer in module.named_modules() if name}
    running = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    found = [names[one] for one in running if isinstance(one, nn.Module) and one in names]
    return found[-1] if found else "the network"


class _MapPruner(tp.BasePruningFunc):  # type: ignore[misc]  # the library has no types
    """Tells the graph that a channel map's two sides are independent of one another."""

    def prune_out_channels(self, layer: nn.Module, idxs: Sequence[int]) -> nn.Module:
        return layer

    def prune_in_channels(self, layer: nn.Module, idxs: Sequence[int]) -> nn.Module:
        return layer

    def get_out_channels(self, layer: ChannelMap) -> int:
        return len(layer.sources)

    def get_in_channels(self, layer: ChannelMap) -> int:
        return layer.channels


def _mend(graph: Any) -> Iterator[Any]:
    """Work out every index mapping anew, splits first: widths are counted along them. Gives the
    nodes where that fails."""
    nodes = list(graph.module2node.values())
    for node in nodes:
        if node.type == _OPS.SPLIT:
            node.module.split_sizes = [size for _, _, size in _pieces(node)]
        elif node.type == _OPS.CONCAT:
            node.module.concat_sizes = None
    for node in nodes:
        try:
            if node.type == _OPS.SPLIT:
                _mend_split(graph, node)
            elif node.type == _OPS.SLICE:
                _mend_slice(graph, node)
            elif node.type in _UPDATES:
                _UPDATES[node.type](graph, node)
        except Exception:
            yield node


def _pieces(split: Any) -> Iterator[tuple[Any, int, int]]:
    """Who reads a piece, where the piece starts, and how long it is; in the order of `outputs`."""
    grad_fn = split.grad_fn
    whole = _size(grad_fn, _axis(grad_fn))
    sizes = list(getattr(grad_fn, "_saved_split_sizes", ()))
    if not sizes:
        step = grad_fn._saved_split_size
        sizes = [min(step, whole - start) for start in range(0, whole, step)]
    starts = [0, *accumulate(sizes)]
    seen: dict[int, int] = {}
    for reader in split.outputs:
        numbers = [n for fn, n in reader.grad_fn.next_functions if fn is grad_fn]
        number = numbers[seen.get(id(reader), 0) % len(numbers)]
        seen[id(reader)] = seen.get(id(reader), 0) + 1
        yield reader, starts[number], sizes[number]


def _mend_split(graph: Any, split: Any) -> None:
    is_channels = _is_of_channels(graph, split)
    used: set[int] = set()
    for reader, start, size in _pieces(split):
        offset = (start, start + size)
        for source, target, is_back in ((split, reader, False), (reader, split, True)):
            mapping = index_mapping._SplitIndexMapping(offset=offset, reverse=is_back)
            _set(source, target, mapping if is_channels else None, used)


def _mend_slice(graph: Any, node: Any) -> None:
    is_channels, layer = _is_of_channels(graph, node), node.module
    used: set[int] = set()
    for reader in node.inputs:
        for source, target, is_back in ((reader, node, False), (node, reader, True)):
            mapping = index_mapping._SliceIndexMapping(
                dim=layer.dim, start=layer.start, end=layer.end, step=layer.step, reverse=is_back
            )
            _set(source, target, mapping if is_channels else None, used)


def _set(source: Any, target: Any, mapping: Any, used: set[int]) -> None:
    """Put the mapping on the first edge between the two that has none of ours yet."""
    for edge in source.dependencies:
        if edge.target is target and id(edge) not in used:
            edge.index_mapping[0] = mapping
            used.add(id(edge))
            return


def _is_of_channels(graph: Any, node: Any) -> bool:
    """Whether an operation works along the axis that the layer before it calls channels."""
    width = shape_infer.infer_out_channels_recursively(graph, node.inputs[0], [0])
    if width is None:
        raise ValueError("nothing before it has a width")
    shape = [int(side) for side in node.grad_fn._saved_self_sym_sizes]
    # Images have their channels first, tokens last; images of tokens have them last too.
    likely = (len(shape) - 1, 1) if len(shape) == 3 else (1, len(shape) - 1)
    channels = next((axis for axis in likely if shape[axis] == width), None)
    return channels is not None and _axis(node.grad_fn) % len(shape) == channels


def _axis(grad_fn: Any) -> int:
    axis = int(grad_fn._saved_dim)
    return axis if axis < 1 << 63 else axis - (1 << 64)  # what was negative comes unsigned


def _size(grad_fn: Any, axis: int) -> int:
    return int(grad_fn._saved_self_sym_sizes[axis])
