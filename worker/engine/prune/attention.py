"""Multi-head attention with one projection for queries, keys and values, as timm writes it.

ViT, DeiT and Swin have it; their heads are independent, so that removing some is exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

_TABLE = "relative_position_bias_table"


@dataclass(frozen=True)
class Attention:
    """A block with `qkv` and `proj`, whose heads are `head_size` wide."""

    name: str
    heads: int
    head_size: int

    @property
    def inner(self) -> tuple[str, ...]:
        """The sides of its layers that are cut by head alone."""
        return f"{self._child('qkv')}:out", f"{self._child('proj')}:in"

    def places(
        self, module: nn.Module
    ) -> Iterator[tuple[str, int, int, Literal["output", "input", "other"]]]:
        """Tensor, axis, how often the heads lie in it one after another, and its role."""
        yield f"{self._child('qkv')}.weight", 0, 3, "output"
        if getattr(module.get_submodule(self._child("qkv")), "bias", None) is not None:
            yield f"{self._child('qkv')}.bias", 0, 3, "other"
        for bias in ("q_bias", "k_bias", "v_bias"):  # Beit and EVA put them together as they run
            if getattr(module.get_submodule(self.name), bias, None) is not None:
                yield self._child(bias), 0, 1, "other"
        yield f"{self._child('proj')}.weight", 1, 1, "input"

    def per_head(self, module: nn.Module) -> Iterator[tuple[str, int | str]]:
        """What holds one value a head."""
        yield self.name, "heads"
        if hasattr(module.get_submodule(self.name), _TABLE):
            yield f"{self.name}.{_TABLE}", 1

    def _child(self, name: str) -> str:
        return f"{self.name}.{name}" if self.name else name


def find_attention(module: nn.Module) -> tuple[Attention, ...]:
    """Every attention of the network whose heads can be removed one by one."""
    return tuple(
        found for name, layer in module.named_modules() if (found := _read(name, layer)) is not None
    )


def _read(name: str, layer: nn.Module) -> Attention | None:
    heads = getattr(layer, "num_heads", None)
    qkv, proj = getattr(layer, "qkv", None), getattr(layer, "proj", None)
    if not (isinstance(heads, int) and isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear)):
        return None
    width = proj.in_features
    if heads < 1 or qkv.out_features != 3 * width or width % heads:
        return None
    return Attention(name, heads, width // heads)
