"""What the engine has to know of an architecture to build it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from torch import nn

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
IMAGE_DIMENSIONS: Final = 3


@dataclass(frozen=True)
class Defaults:
    """What holds for an architecture where nobody says otherwise.

    `normalisation` is mean and deviation, one value per channel, of inputs divided by 255.
    `labels` are for as many classes as there are names.
    """

    input_size: tuple[int, ...] = (3, 32, 32)
    normalisation: Normalisation | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Architecture:
    """How to build a model with fresh weights: `build(classes, input_size, **options)`.

    `build` raises ValueError for an input size or option it cannot serve. What it builds maps
    normalised float32 [B, *input_size] to logits [B, classes], in training mode too, and draws
    its weights from torch's global generator. `options` are the names of the keywords it takes.
    `published_names` gives, for a module on any device, what its library's files call tensors that
    the module calls otherwise; None: files have the module's names. `unneeded` are prefixes of
    tensors in its library's files that the module has no use for.
    """

    build: Callable[..., nn.Module]
    options: frozenset[str] = frozenset()
    defaults: Callable[[], Defaults] = Defaults
    published_names: Callable[[nn.Module], Mapping[str, str]] | None = None
    unneeded: tuple[str, ...] = ()


class Family(Protocol):
    """Architectures that a library or a package brings, by their names within it."""

    def options_by_name(self) -> Mapping[str, frozenset[str]]:
        """All that there are."""

    def find(self, name: str) -> Architecture | None:
        """One of them."""


def image_sides(input_size: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width. Raises ValueError unless it is an image."""
    if len(input_size) != IMAGE_DIMENSIONS:
        raise ValueError(f"takes images [channels, height, width], got {list(input_size)}")
    channels, height, width = input_size
    return channels, height, width
