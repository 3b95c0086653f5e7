"""A multilayer perceptron over inputs of any shape. Shapes: B batch, K classes."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from torch import Tensor, nn

_MAX_LAYERS: Final = 256  # each costs a while to build, however narrow it is


class Mlp(nn.Module):
    """Flatten, then linear layers with ReLU and dropout between them."""

    def __init__(self, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(widths[:-1]):
            layers += [nn.Linear(wide, narrow), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, K] of inputs [B, …]."""
        logits_BK: Tensor = self.layers(inputs.flatten(1))
        return logits_BK


def mlp(
    classes: int,
    input_size: tuple[int, ...],
    hidden: Sequence[int] = (256, 128),
    dropout: float = 0.0,
) -> Mlp:
    """`hidden` are the widths between input and classes; `dropout` follows each of them."""
    if len(hidden) > _MAX_LAYERS:
        raise ValueError(f"hidden may name {_MAX_LAYERS} layers, got {len(hidden)}")
    if any(width < 1 for width in hidden):
        raise ValueError(f"hidden must be widths of at least 1, got {list(hidden)}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")
    return Mlp([math.prod(input_size), *hidden, classes], dropout)
