"""Activation checkpointing: less memory for the backward pass, which computes some of it again.

The activations inside a stage are dropped after the forward pass and made anew when the backward
pass reaches it (Chen et al. 2016, arXiv:1604.06174).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


@contextmanager
def checkpointed(model: nn.Module, enabled: bool = True) -> Iterator[None]:
    """Within, the stages of `model` keep only their inputs while it trains.

    A stage is a part of the model that has parts of its own: a block, or about √n of a sequence
    of n plain layers. Dropout draws the same again and BatchNorm counts a batch once, so that the
    gradients are those of the plain model.
    """
    parts = list(_parts(_unwrapped(model))) if enabled else []
    try:
        for part in parts:
            part.forward = _forward(part)
        yield
    finally:
        for part in parts:
            del part.forward


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost sequences of plain layers, and the blocks that are in none."""
    if _is_plain(module):
        yield module
        return
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield from _parts(child)
        elif any(child.children()):
            yield child


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model inside one that only passes on: as a single stage it would save nothing."""
    children = list(model.children())
    is_wrapper = len(children) == 1 and not isinstance(model, nn.Sequential)
    return _unwrapped(children[0]) if is_wrapper else model


def _is_plain(module: nn.Module) -> bool:
    """Whether it is a sequence of layers without parts, which is to be cut."""
    return isinstance(module, nn.Sequential) and not any(any(x.children()) for x in module)


def _forward(part: nn.Module) -> Callable[..., Any]:
    if not _is_plain(part):
        return _recomputed(part.forward, part)
    assert isinstance(part, nn.Sequential)
    layers = list(part)
    length = math.ceil(math.sqrt(len(layers)))
    stages = [nn.Sequential(*layers[i : i + length]) for i in range(0, len(layers), length)]
    calls = [_recomputed(stage, part) for stage in stages]

    def forward(x: torch.Tensor) -> torch.Tensor:
        for call in calls:
            x = call(x)
        return x

    return forward


def _recomputed(compute: Callable[..., Any], owner: nn.Module) -> Callable[..., Any]:
    norms = [module for module in owner.modules() if isinstance(module, _BatchNorm)]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(norms)

    def call(*inputs: Any, **options: Any) -> Any:
        if not (owner.training and torch.is_grad_enabled()):
            return compute(*inputs, **options)
        return checkpoint(compute, *inputs, use_reentrant=False, context_fn=contexts, **options)

    return call


@contextmanager
def _statistics_kept(norms: list[_BatchNorm]) -> Iterator[None]:
    """Within, BatchNorm computes as before and leaves its running statistics alone."""
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm, count in zip(norms, counts, strict=True):
        norm.momentum = 0.0
        norm.num_batches_tracked = None if count is None else count.clone()
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
