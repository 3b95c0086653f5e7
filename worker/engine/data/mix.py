"""Two images in one, with the labels of both. Shapes: B batch, C channels, H height, W width."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worker.engine.errors import IncompatibleDataset


@dataclass(frozen=True)
class Mix:
    """Labels [B] that were mixed in: a batch's own weigh `share`, at least half, these the rest.

    Labels and a weight instead of soft targets [B, classes]: their cross-entropy is the same, and
    nobody has to know how many outputs the model has.
    """

    labels: Tensor
    share: float


@dataclass(frozen=True)
class Blend:
    """Mixed inputs. With `swapped`, the neighbour of each example is what it shows the most of."""

    x: Tensor
    share: float
    swapped: bool


def neighbours(tensor_B: Tensor) -> Tensor:
    """What each example is mixed with: the one before it, which in a shuffled batch is anyone."""
    return tensor_B.roll(1, 0)


def mix(
    x: Tensor, mixup_alpha: float, cutmix_alpha: float, draw: np.random.Generator
) -> Blend | None:
    """Mixup, CutMix or, where both alphas are positive, one of the two with equal odds.

    None if neither is. `x` is as stored; Mixup gives float32 in the same units.
    """
    if mixup_alpha > 0 and (cutmix_alpha <= 0 or draw.random() < 0.5):
        return mixup(x, float(draw.beta(mixup_alpha, mixup_alpha)))
    if cutmix_alpha > 0:
        return cutmix(x, float(draw.beta(cutmix_alpha, cutmix_alpha)), draw)
    return None


def mixup(x: Tensor, share: float) -> Blend:
    """share · x + (1 − share) · neighbour (Zhang et al. 2018, arXiv:1710.09412)."""
    own = x.to(torch.float32)
    return _blend(torch.lerp(neighbours(own), own, share), share)


def cutmix(x_BCHW: Tensor, share: float, draw: np.random.Generator) -> Blend:
    """The neighbour's pixels in one box (Yun et al. 2019, arXiv:1905.04899).

    Its area is 1 − share of the image's before the edges cut it, its centre anywhere. The blend's
    share is that of the pixels left.
    """
    if x_BCHW.ndim != 4:
        raise IncompatibleDataset(f"CutMix needs images, got {list(x_BCHW.shape[1:])}")
    height, width = x_BCHW.shape[2:]
    side = math.sqrt(1 - share)
    top, bottom = _span(height, side, draw)
    left, right = _span(width, side, draw)
    mixed_BCHW = x_BCHW.clone()
    mixed_BCHW[..., top:bottom, left:right] = neighbours(x_BCHW[..., top:bottom, left:right])
    return _blend(mixed_BCHW, 1 - (bottom - top) * (right - left) / (height * width))


def _span(length: int, side: float, draw: np.random.Generator) -> tuple[int, int]:
    centre, half = int(draw.integers(length)), int(0.5 * side * length)
    return max(0, centre - half), min(length, centre + half)


def _blend(x: Tensor, share: float) -> Blend:
    return Blend(x, max(share, 1 - share), swapped=share < 0.5)
