"""What an upload holds and what it says of itself, whatever its format was."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class Described:
    """What somebody says of a model; None, and an empty collection, says nothing.

    `mean` and `std` are per channel, of inputs divided by 255.
    """

    architecture: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    input_size: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None
    compression: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def over(self, other: Self) -> Self:
        """Both, where this one wins.

        What `other` says of an architecture that is not the one chosen here is left out: its
        options, and what was done to it.
        """
        if self.architecture not in (None, other.architecture):
            other = type(other)(
                classes=other.classes,
                input_size=other.input_size,
                mean=other.mean,
                std=other.std,
                labels=other.labels,
            )
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        said = {name: value for name, value in mine.items() if value not in (None, (), {})}
        return type(self)(**{f.name: getattr(other, f.name) for f in fields(other)} | said)


@dataclass(frozen=True)
class Upload:
    """Named tensors as they were read, and notes on what was done to find them.

    The tensors may be views of the uploaded file, which must stay until they are copied.
    """

    tensors: Mapping[str, Tensor]
    described: Described = Described()
    notes: tuple[str, ...] = ()
