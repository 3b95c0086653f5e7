"""A network layer by layer: weights, zeros, outputs and MACs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


@dataclass(frozen=True)
class LayerFacts:
    """A convolution or linear layer; `macs` are those of one input, 0 for what did not run.

    Weights without storage count as none of them zero.
    """

    name: str
    weights: int
    zeros: int
    outputs: int
    macs: int


@torch.no_grad()
def layer_facts(module: nn.Module, input_size: Sequence[int]) -> tuple[LayerFacts, ...]:
    """Every convolution and linear layer, in the order of the network's definition."""
    counts: dict[str, int] = {}
    layers = {n: m for n, m in module.named_modules() if isinstance(m, _ConvNd | nn.Linear)}
    hooks = [m.register_forward_hook(partial(_count, counts, n)) for n, m in layers.items()]
    device = next(module.parameters()).device
    try:
        module.eval()(torch.zeros(1, *input_size, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(
        LayerFacts(
            name=name,
            weights=layer.weight.numel(),
            zeros=_zeros(layer.weight),
            outputs=_outputs(layer),
            macs=counts.get(name, 0),
        )
        for name, layer in layers.items()
    )


def _count(counts: dict[str, int], name: str, layer: Any, inputs: Any, output: Tensor) -> None:
    # Every output value is one sum over the weights of its output; transposed ones spread inputs.
    transposed = isinstance(layer, _ConvNd) and layer.transposed
    places = (
        inputs[0].numel() // layer.in_channels if transposed else output.numel() // _outputs(layer)
    )
    counts[name] = counts.get(name, 0) + places * layer.weight.numel()


def _zeros(weight: Tensor) -> int:
    if weight.is_meta:
        return 0
    return weight.numel() - int(weight.count_nonzero())


def _outputs(layer: _ConvNd | nn.Linear) -> int:
    return layer.out_channels if isinstance(layer, _ConvNd) else layer.out_features
