"""Feature maps from inside a model, read by forward hooks, and the layers worth reading.

A map is [B, C, H, W]: tokens [B, N, D] become [B, D, N, 1], vectors [B, D] become [B, D, 1, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from worker.engine.errors import IncompatibleModels

MapShape = tuple[int, int, int]
_MOST_STAGES: Final = 4  # of a model whose maps are all of one size


@dataclass(frozen=True)
class Layer:
    """A named module and the map that it gives for one input: channels, height, width."""

    name: str
    shape: MapShape
    depth: float
    """The share of the model's leaf layers that have run when it is done."""
    is_stage: bool = False
    """Whether it gives the last map of a stage."""


@dataclass(frozen=True)
class LayerPair:
    """A layer of the student and the layer of the teacher that it learns from."""

    student: str
    teacher: str


class FeatureTap:
    """The maps that named modules gave in the last forward pass, with their graph.

    A context manager: leaving it takes the hooks off again. Raises `IncompatibleModels` for a
    name that the model does not have.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        modules = dict(model.named_modules())
        for name in names:
            if not name or name not in modules:
                raise IncompatibleModels(
                    f"the model has no layer {name!r}",
                    hint="GET /v1/capabilities lists the layers of each architecture.",
                )
        self._names = tuple(names)
        self._modules = modules
        self._seen: dict[str, Tensor] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for name in dict.fromkeys(self._names):
            hook = partial(self._keep, name)
            self._hooks.append(self._modules[name].register_forward_hook(hook))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._seen.clear()

    def take(self) -> list[Tensor]:
        """The maps, in the order of the names; they are forgotten here."""
        maps = [as_map(self._seen[name]) for name in self._names]
        self._seen.clear()
        return maps

    def _keep(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            self._seen[name] = output


def as_map(features: Tensor) -> Tensor:
    """[B, C, H, W] of what a layer gave."""
    match features.ndim:
        case 4:
            return features
        case 3:
            return features.transpose(1, 2)[..., None]
        case 2:
            return features[:, :, None, None]
        case _:
            raise IncompatibleModels(
                f"a layer gives {list(features.shape[1:])} for one input, which is no feature map"
            )


@torch.no_grad()
def layer_candidates(model: nn.Module, example: Tensor) -> tuple[Layer, ...]:
    """The layers whose maps can be read, in the order in which they finish.

    `example` is a normalised batch, on the model's device. A stage is what runs at one size of
    map, if it has weights; its layer is the outermost that finishes it. Where all maps have one
    size (perceptrons, transformers), stages are at most four repeated parts, evenly spaced. The
    layer that gives the logits is none.
    """
    finished: list[tuple[str, Tensor]] = []
    names = {module: name for name, module in model.named_modules() if name}
    hooks = [
        module.register_forward_hook(partial(_finish, finished, name))
        for module, name in names.items()
    ]
    was_training = model.training
    try:
        logits = model.eval()(example)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    modules = {name: module for module, name in names.items()}
    return _candidates(modules, finished, logits)


def matched(student: Sequence[Layer], teacher: Sequence[Layer]) -> tuple[LayerPair, ...]:
    """A teacher's stage for each of the student's: that of the same height and width if there is
    one, else the one at the nearest relative depth; the last for the last."""
    ours = [layer for layer in student if layer.is_stage]
    theirs = [layer for layer in teacher if layer.is_stage]
    if not ours or not theirs:
        raise IncompatibleModels(
            "found no stage in one of the models to take feature maps from",
            hint="Name the layers to pair, or choose a loss of logits.",
        )
    return tuple(
        LayerPair(layer.name, _counterpart(layer, index == len(ours) - 1, theirs).name)
        for index, layer in enumerate(ours)
    )


def _finish(finished: list[tuple[str, Tensor]], name: str, *call: Any) -> None:
    output = call[-1]
    if isinstance(output, Tensor) and output.ndim in (2, 3, 4):
        finished.append((name, output))


def _candidates(
    modules: Mapping[str, nn.Module], finished: Sequence[tuple[str, Tensor]], logits: Tensor
) -> tuple[Layer, ...]:
    leaves = [name for name, _ in finished if _is_leaf(modules[name])]
    done, layers = 0, []
    for name, output in finished:
        done += _is_leaf(modules[name])
        # The classifier gives the logits, and so may a module around it.
        if output is not logits:
            _, channels, height, width = as_map(output).shape
            layers.append(Layer(name, (channels, height, width), done / max(len(leaves), 1)))
    stages = _by_size(modules, layers) if _has_maps(layers) else _by_repetition(modules, layers)
    return tuple(
        Layer(layer.name, layer.shape, layer.depth, layer.name in stages) for layer in layers
    )


def _has_maps(layers: Sequence[Layer]) -> bool:
    """Whether several sizes of map occur, beyond the vectors of a head."""
    return len({layer.shape[1:] for layer in layers if layer.shape[1:] != (1, 1)}) > 1


def _by_size(modules: Mapping[str, nn.Module], layers: Sequence[Layer]) -> set[str]:
    last: dict[tuple[int, int], str] = {}
    weighted: set[tuple[int, int]] = set()
    for layer in layers:
        size = layer.shape[1:]
        if size == (1, 1):
            continue
        last[size] = layer.name
        module = modules[layer.name]
        if _is_leaf(module) and any(True for _ in module.parameters(recurse=False)):
            weighted.add(size)
    return {name for size, name in last.items() if size in weighted}


def _by_repetition(modules: Mapping[str, nn.Module], layers: Sequence[Layer]) -> set[str]:
    """The last layer of each part that lies in a list of parts, or before each next weight."""
    by_name = {layer.name: layer for layer in layers}
    parts = [
        f"{name}.{child}"
        for name, module in modules.items()
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(module) > 1
        for child, part in module.named_children()
        if not _is_leaf(part) and f"{name}.{child}" in by_name
    ]
    names = parts or _before_weights(modules, layers)
    if len(names) <= _MOST_STAGES:
        return set(names)
    return {names[round((i + 1) * len(names) / _MOST_STAGES) - 1] for i in range(_MOST_STAGES)}


def _before_weights(modules: Mapping[str, nn.Module], layers: Sequence[Layer]) -> list[str]:
    """The last leaf of each run of leaves that begins with one that has weights."""
    runs: list[str] = []
    for layer in layers:
        module = modules[layer.name]
        if not _is_leaf(module):
            continue
        if any(True for _ in module.parameters(recurse=False)):
            runs.append(layer.name)
        elif runs:
            runs[-1] = layer.name
    return runs


def _counterpart(layer: Layer, is_last: bool, stages: Sequence[Layer]) -> Layer:
    if is_last:
        return stages[-1]
    same = [stage for stage in stages if stage.shape[1:] == layer.shape[1:] != (1, 1)]
    return same[0] if same else min(stages, key=lambda stage: abs(stage.depth - layer.depth))


def _is_leaf(module: nn.Module) -> bool:
    return not any(True for _ in module.children())
