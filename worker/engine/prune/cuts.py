"""What was cut out of a model, in plain values, and doing it again to a fresh one.

A cut keeps some indices of one axis and names every place that lost the rest. Places are written
`tensor:axis` (`conv1.weight:0`), `module:heads` for the count of attention heads, and
`module:in` or `module:out` for modules that keep a channel map of their own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from worker.engine.errors import InvalidModel

_PLACE: Final = re.compile(r"(?P<name>[^\s:]+):(?P<axis>[0-7]|heads|in|out)")
_RANGES: Final = re.compile(r"\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*")
_KEYS: Final = {"kept", "of", "where"}


@runtime_checkable
class ChannelMap(Protocol):
    """A module without weights whose channels can be cut all the same.

    `sources` says for each output channel which of the input `channels` it shows, -1 for none.
    """

    sources: list[int]
    channels: int

    def keep_inputs(self, kept: Sequence[int]) -> None:
        """Only these of the input channels will come; what came from others is zero."""

    def keep_outputs(self, kept: Sequence[int]) -> None:
        """Give only these of the output channels."""


@dataclass(frozen=True)
class Place:
    """Where a cut was made: an axis of a tensor, or a property of a module."""

    name: str
    axis: int | str

    def __str__(self) -> str:
        return f"{self.name}:{self.axis}"


@dataclass(frozen=True)
class Cut:
    """`kept` indices, ascending, of the `of` that there were, at every place of `where`."""

    kept: tuple[int, ...]
    of: int
    where: tuple[Place, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, short enough to be read: `{"kept": "0-3,5", "of": 8, "where": "a:0 b:1"}`."""
        where = " ".join(str(place) for place in self.where)
        return {"kept": _ranges(self.kept), "of": self.of, "where": where}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Raises `InvalidModel` for anything that `to_json` does not write."""
        if not isinstance(document, dict) or set(document) != _KEYS:
            raise InvalidModel("a cut must be an object of kept, of and where")
        kept, of, where = document["kept"], document["of"], document["where"]
        if not (isinstance(kept, str) and isinstance(where, str) and type(of) is int):
            raise InvalidModel("kept and where of a cut must be text, of a number")
        places = [_PLACE.fullmatch(word) for word in where.split()]
        if not places or None in places or not _RANGES.fullmatch(kept):
            raise InvalidModel(f"cannot read the cut of {where[:80]!r}")
        return cls(
            _indices(kept, of),
            of,
            tuple(Place(m["name"], _axis(m["axis"])) for m in places if m is not None),
        )


def cuts_of(compression: Sequence[Mapping[str, Any]]) -> list[tuple[Cut, ...]]:
    """The cuts that a model's config records, oldest first. Raises `InvalidModel`."""
    steps = [step["cuts"] for step in compression if "cuts" in step]
    if not all(isinstance(cuts, list | tuple) for cuts in steps):
        raise InvalidModel("cuts must be a list")
    return [tuple(Cut.from_json(cut) for cut in cuts) for cuts in steps]


def apply_cuts(module: nn.Module, cuts: Sequence[Cut]) -> None:
    """Cut `module` in place: smaller tensors, on any device, and layers that know their new size.

    Optimizers made before hold the old tensors. Raises `InvalidModel` where a place does not exist
    or is not as large as the cut says; the module is then half cut and worthless.
    """
    modules = dict(module.named_modules())
    touched: dict[str, nn.Module] = {}
    for cut in cuts:
        for place in cut.where:
            owner = place.name if isinstance(place.axis, str) else place.name.rpartition(".")[0]
            if owner not in modules:
                raise InvalidModel(f"there is no layer {owner!r} to cut")
            _cut_one(modules[owner], place, cut)
            touched[owner] = modules[owner]
    for layer in touched.values():
        _refit(layer)


def _cut_one(owner: nn.Module, place: Place, cut: Cut) -> None:
    match place.axis:
        case int(axis):
            _cut_tensor(owner, place, axis, cut)
        case "heads":
            heads = getattr(owner, "num_heads", None)
            if heads != cut.of:
                raise InvalidModel(f"{place.name} has {heads} heads, the cut was of {cut.of}")
            owner.num_heads = len(cut.kept)  # type: ignore[assignment]  # a plain number
        case side:
            if not isinstance(owner, ChannelMap):
                raise InvalidModel(f"{place.name} has no channel map")
            (owner.keep_inputs if side == "in" else owner.keep_outputs)(cut.kept)


def _cut_tensor(owner: nn.Module, place: Place, axis: int, cut: Cut) -> None:
    name = place.name.rpartition(".")[2]
    tensor = owner._parameters.get(name, owner._buffers.get(name))
    if tensor is None:
        raise InvalidModel(f"there is no tensor {place.name} to cut")
    if tensor.ndim <= axis or tensor.shape[axis] != cut.of:
        raise InvalidModel(f"{place} is of {list(tensor.shape)}, the cut was of {cut.of}")
    kept = torch.tensor(cut.kept, device=tensor.device)
    smaller = _laid_out(tensor.detach().index_select(axis, kept), tensor)
    if isinstance(tensor, nn.Parameter):
        owner._parameters[name] = nn.Parameter(smaller, requires_grad=tensor.requires_grad)
    else:
        owner._buffers[name] = smaller


def _laid_out(smaller: Tensor, like: Tensor) -> Tensor:
    is_last = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if is_last and not like.is_contiguous() else None
    return smaller.contiguous(memory_format=layout or torch.contiguous_format)


def _refit(layer: nn.Module) -> None:
    """Make the sizes that a layer remembers those of its tensors."""
    match layer:
        case nn.modules.conv._ConvNd():
            was_depthwise = layer.groups == layer.out_channels == layer.in_channels
            wide, narrow = layer.weight.shape[:2]
            if layer.transposed:
                wide, narrow = narrow, wide
            if was_depthwise and layer.groups > 1:
                layer.groups = wide
            layer.out_channels, layer.in_channels = wide, narrow * layer.groups
        case nn.Linear():
            layer.out_features, layer.in_features = layer.weight.shape
        case nn.modules.batchnorm._NormBase():
            kept = layer.weight if layer.weight is not None else layer.running_mean
            assert kept is not None
            layer.num_features = len(kept)
        case nn.LayerNorm():
            layer.normalized_shape = tuple(layer.weight.shape)
        case nn.GroupNorm():
            layer.num_channels = len(layer.weight)
        case nn.PReLU():
            layer.num_parameters = len(layer.weight)
        case nn.Embedding():
            layer.embedding_dim = layer.weight.shape[1]
        case _:
            heads, size = getattr(layer, "num_heads", None), getattr(layer, "head_dim", None)
            if isinstance(heads, int) and isinstance(size, int) and hasattr(layer, "attn_dim"):
                layer.attn_dim = heads * size  # type: ignore[assignment]  # a plain number


def _ranges(kept: Sequence[int]) -> str:
    runs = [
        [index for _, index in run]
        for _, run in groupby(enumerate(kept), key=lambda pair: pair[1] - pair[0])
    ]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _indices(text: str, of: int) -> tuple[int, ...]:
    indices: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        # A bound first: the text is somebody's, and may ask for a range of any length.
        if int(last or first) >= of:
            raise InvalidModel(f"a cut keeps index {last or first} of {of}")
        indices.extend(range(int(first), int(last or first) + 1))
    if not indices or indices != sorted(set(indices)):
        raise InvalidModel("the indices of a cut must rise")
    return tuple(indices)


def _axis(text: str) -> int | str:
    return int(text) if text.isdigit() else text
