"""Layers of a graph that hold weights, by the names they had in the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Any, Final

LAYER_OPERATORS: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LEAST_WEIGHTS: Final = 16  # below it scales would take more room than the weights save


@dataclass(frozen=True)
class Layer:
    """`node` is its name in the graph, `weight` its initializer of `shape`.

    `axis` is the weight's side of outputs.
    """

    name: str
    node: str
    operator: str
    weight: str
    shape: tuple[int, ...]
    axis: int

    @property
    def weights(self) -> int:
        """How many there are."""
        return prod(self.shape)


def layers_of(model: Any) -> tuple[Layer, ...]:
    """Every convolution and product with a stored float weight, in the order of the graph."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        tensor = stored.get(node.input[1]) if node.op_type in LAYER_OPERATORS else None
        if tensor is None or tensor.data_type != 1 or prod(tensor.dims) < _LEAST_WEIGHTS:
            continue
        name = tensor.name.removesuffix(".weight") if "." in tensor.name else node.name
        shape, axis = tuple(tensor.dims), _axis(node, len(tensor.dims))
        found.append(Layer(name, node.name, node.op_type, tensor.name, shape, axis))
    return tuple(found)


def chosen(layers: Sequence[Layer], ignored: Sequence[str]) -> tuple[Layer, ...]:
    """Those that no name or glob of `ignored` leaves out; a container stands for all in it.

    Raises ValueError for a pattern that fits nothing.
    """
    for pattern in ignored:
        if not any(_fits(layer.name, pattern) for layer in layers):
            known = ", ".join(layer.name for layer in layers[:20])
            raise ValueError(f"no layer is named {pattern!r}; there are {known}")
    return tuple(
        layer for layer in layers if not any(_fits(layer.name, pattern) for pattern in ignored)
    )


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def _axis(node: Any, rank: int) -> int:
    attributes: Mapping[str, int] = {one.name: one.i for one in node.attribute}
    match node.op_type:
        case "Conv":
            return 0
        case "ConvTranspose":
            return 1
        case "Gemm" if attributes.get("transB"):
            return 0
        case _:
            return rank - 1
