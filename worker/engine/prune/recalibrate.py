"""Batch norm's statistics after the weights before it changed."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from worker.engine.data.batches import Batches, Normalizer
from worker.engine.data.split import Split
from worker.engine.errors import memory_errors


def recalibrate(
    module: nn.Module,
    split: Split,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    batches: int = 40,
    batch_size: int = 128,
    seed: int = 0,
) -> bool:
    """Measure every batch norm's mean and variance anew over forward passes of `split`.

    No weight changes. The module ends on `device`, in evaluation mode. False if it has no batch
    norm that keeps statistics, and nothing was run.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return False
    normalise = Normalizer.of(mean, std, split.x, device)
    momenta = [norm.momentum for norm in norms]
    module.to(device).eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    try:
        with memory_errors(), torch.no_grad():
            drawn = Batches(split, batch_size, device, seed=seed, shuffle=True)
            for number, batch in enumerate(drawn):
                # The variance of a batch of one is not defined.
                if number == batches or len(batch) < 2:
                    break
                module(normalise(batch.x))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        module.eval()
    return True
