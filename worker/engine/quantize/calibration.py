"""Examples on which the ranges of activations are measured."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from worker.engine.data.batches import Normalizer
from worker.engine.data.split import Split
from worker.engine.seeds import generator

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

_BATCH: Final = 64


def calibration_batches(
    train: Split,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    samples: int,
    seed: int,
    batch_size: int | None = None,
) -> list[Array]:
    """At most `samples` examples drawn by the seed, normalised: float32 [B, …], as a graph takes
    them. `batch_size` is that of a graph which takes no other; None takes any."""
    indices = torch.randperm(len(train), generator=generator(seed, "calibration"))[:samples]
    step = batch_size or _BATCH
    normalise = Normalizer.of(mean, std, train.x, torch.device("cpu"))
    parts = torch.split(indices, step)
    if len(parts) > 1 and len(parts[-1]) < step:  # a graph may take full batches only
        parts = parts[:-1]
    batches = (normalise(train.take(part).x) for part in parts)
    return [batch.float().contiguous().numpy() for batch in batches]
