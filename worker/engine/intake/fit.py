"""Uploaded tensors become a model: names and shapes first, then values."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from worker.engine.errors import InvalidModel, memory_errors
from worker.engine.intake.names import without_prefix
from worker.engine.models import registry
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, describe_mismatch, expected_shapes
from worker.engine.shown import shown


def fit(config: ModelConfig, tensors: Mapping[str, Tensor]) -> tuple[nn.Module, tuple[str, ...]]:
    """The module with these weights, in float32 and evaluation mode, and notes on what was done.

    Nothing is copied before every shape is right, so that tensors may claim what they like.
    Raises `InvalidModel` with what is missing, unexpected or of another shape.
    """
    wanted = expected_shapes(config)
    renamed, prefix = without_prefix(_as_built(config, tensors, wanted), wanted)
    unneeded = [name for name in renamed if name.startswith(_unneeded(config))]
    renamed = {name: tensor for name, tensor in renamed.items() if name not in unneeded}
    found = {name: tuple(tensor.shape) for name, tensor in renamed.items()}
    mismatch = describe_mismatch(found, wanted)
    if mismatch:
        raise InvalidModel(f"the weights do not fit the architecture: {mismatch}")
    notes = [f"the prefix {prefix!r} was taken off every name"] if prefix else []
    if unneeded:
        notes.append(
            f"{len(unneeded)} tensors that only the library's own training uses were left out: "
            f"{shown(unneeded, 3)}"
        )
    with memory_errors():
        module = build(config).eval()
        notes += _fill(module, renamed)
    return module, tuple(notes)


def _unneeded(config: ModelConfig) -> tuple[str, ...]:
    return registry.find(config.architecture).unneeded


def _as_built(
    config: ModelConfig, tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]
) -> Mapping[str, Tensor]:
    """Under the names that the module has, where the files of its library have others."""
    architecture = registry.find(config.architecture)
    if architecture.published_names is None or all(name in tensors for name in wanted):
        return tensors
    with torch.device("meta"):
        module = architecture.build(config.classes, config.input_size, **config.options)
    names = architecture.published_names(module)
    return {names.get(name, name): tensor for name, tensor in tensors.items()}


@torch.no_grad()
def _fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    converted: dict[torch.dtype, list[str]] = {}
    for name, target in module.state_dict().items():
        source = tensors.get(name)
        if source is None:  # a counter of batch norm, see `describe_mismatch`
            continue
        if not _converts(source, target):
            raise InvalidModel(
                f"{name} holds {_plain(source.dtype)}, the architecture {_plain(target.dtype)}"
            )
        if source.dtype != target.dtype:
            converted.setdefault(source.dtype, []).append(name)
        target.copy_(source)
    return [
        f"{len(names)} tensors were converted from {_plain(dtype)}: {shown(names, 3)}"
        for dtype, names in converted.items()
    ]


def _converts(source: Tensor, target: Tensor) -> bool:
    """Floats among themselves, integers among themselves, and counters that were cast to floats
    with everything else. Integers for floats are quantised weights, whose scale is missing."""
    if source.is_complex():
        return False
    if source.is_floating_point() == target.is_floating_point():
        return True
    return source.is_floating_point() and bool((source == source.round()).all())


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
