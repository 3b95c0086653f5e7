"""What every tool of static int8 can do."""

from collections.abc import Sequence
from typing import Protocol, Self

from torch import nn

from worker.engine.quantize.layers import Layer


class Int8Tool(Protocol):
    """A model prepared and calibrated once, quantised as often as asked. A context.

    `layers` are those that it can put in int8, by their names in the model. Its methods raise
    `NotQuantizable`.
    """

    layers: tuple[Layer, ...]

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def all_but(self, kept: Sequence[Layer]) -> bytes:
        """The graph in int8, except for the layers in `kept`."""

    def plain(self) -> nn.Module:
        """What answers as the model does in float."""

    def only(self, layer: Layer) -> nn.Module:
        """What answers as the model does with this layer alone in int8."""
