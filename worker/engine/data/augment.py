"""Random changes to images, a whole batch at a time. Shapes: B batch, C channels, H, W sides."""

import math
from collections.abc import Callable
from typing import Any, Final, Literal, assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from worker.engine.errors import IncompatibleDataset

Augmentation = Literal["none", "flip_and_crop", "rand_augment"]

_PADDING: Final = 4
_MAGNITUDE: Final = 9  # of 0 … 30, as Cubuk et al. count
_MAGNITUDES: Final = 31


def augment(x: Tensor, augmentation: Augmentation, draw: torch.Generator) -> Tensor:
    """Inputs [B, …] as stored, changed; `draw` is a CPU generator, wherever `x` lies.

    Raises `IncompatibleDataset` for inputs that are not the images an augmentation needs.
    """
    match augmentation:
        case "none":
            return x
        case "flip_and_crop":
            return flip_and_crop(x, draw)
        case "rand_augment":
            return rand_augment(flip_and_crop(x, draw), draw)
        case _:
            assert_never(augmentation)


def flip_and_crop(x_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Mirror half of the images and shift each by up to 4 pixels, zeros moving in.

    Krizhevsky 2012's augmentation for CIFAR. The result is channels-last; so should `x` be, then
    every step copies whole rows of pixels.
    """
    if x_BCHW.ndim != 4:
        raise IncompatibleDataset(f"flip_and_crop needs images, got {list(x_BCHW.shape[1:])}")
    batch, channels, height, width = x_BCHW.shape
    shifts_2B = torch.randint(2 * _PADDING + 1, (2, batch), generator=draw)
    flips_B = torch.randint(2, (batch,), generator=draw)
    both = torch.cat([x_BCHW, x_BCHW.flip(3)]).permute(0, 2, 3, 1)
    padded = F.pad(both, (0, 0, *(_PADDING,) * 4)).contiguous()
    high, wide = padded.shape[1:3]
    # A view with each run of `width` pixels, wherever it starts, as a row: a crop is some of them.
    runs = padded.view(-1).as_strided(
        (padded.numel() // channels - width + 1, width * channels), (channels, 1)
    )
    images_B = torch.arange(batch) + batch * flips_B
    corners_B = (images_B * high + shifts_2B[0]) * wide + shifts_2B[1]
    starts_BH = corners_B[:, None] + wide * torch.arange(height)
    crops = runs.index_select(0, starts_BH.flatten().to(x_BCHW.device))
    return crops.view(batch, height, width, channels).permute(0, 3, 1, 2)


def rand_augment(x_BCHW: Tensor, draw: torch.Generator, operations: int = 2) -> Tensor:
    """Random operations in turn, each image its own, at magnitude 9 of 30.

    RandAugment (Cubuk et al. 2020, arXiv:1909.13719) with the operations, odds and strengths of
    torchvision's. Images that drew the same operation go through it together.
    """
    if x_BCHW.ndim != 4 or x_BCHW.dtype != torch.uint8 or x_BCHW.shape[1] not in (1, 3):
        raise IncompatibleDataset(
            f"rand_augment needs grey or RGB images of bytes, got {x_BCHW.dtype} "
            f"{list(x_BCHW.shape[1:])}"
        )
    pairs = _operations(*x_BCHW.shape[2:])
    for _ in range(operations):
        kinds_B = torch.randint(len(pairs), (len(x_BCHW),), generator=draw)
        signs_B = torch.randint(2, (len(x_BCHW),), generator=draw)
        order_B = (2 * kinds_B + signs_B).argsort(stable=True)
        counts = (2 * kinds_B + signs_B).bincount(minlength=2 * len(pairs)).tolist()
        groups = torch.split(x_BCHW.index_select(0, order_B.to(x_BCHW.device)), counts)
        changes = (change for pair in pairs for change in pair)
        changed = torch.cat([f(g) for f, g in zip(changes, groups, strict=True) if len(g)])
        x_BCHW = changed.index_select(0, order_B.argsort().to(x_BCHW.device))
    return x_BCHW


Change = Callable[[Tensor], Tensor]


def _operations(height: int, width: int) -> list[tuple[Change, Change]]:
    """The 14 operations, each as it is with a positive and with a negative magnitude."""
    # Slow to import, and few jobs need it.
    from torchvision.transforms.v2 import functional as vision

    def affine(**how: Any) -> Change:
        shape = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
        return lambda x: vision.affine(x, **{**shape, **how})

    def signed(change: Callable[[int], Change]) -> tuple[Change, Change]:
        return change(1), change(-1)

    def plain(change: Change) -> tuple[Change, Change]:
        return change, change

    def at_magnitude(highest: float) -> float:
        # In float32, as torchvision computes it: a pixel's value may hang on the last bit.
        return float(torch.linspace(0.0, highest, _MAGNITUDES)[_MAGNITUDE])

    shear = math.degrees(math.atan(at_magnitude(0.3)))
    right, down = (int(at_magnitude(150 / 331 * side)) for side in (width, height))
    angle, factor = at_magnitude(30.0), at_magnitude(0.9)
    threshold = 255 - at_magnitude(255.0)
    bits = 8 - round(at_magnitude(4.0))
    return [
        plain(lambda x: x),
        signed(lambda sign: affine(shear=[sign * shear, 0.0], center=[0, 0])),
        signed(lambda sign: affine(shear=[0.0, sign * shear], center=[0, 0])),
        signed(lambda sign: affine(translate=[sign * right, 0])),
        signed(lambda sign: affine(translate=[0, sign * down])),
        signed(lambda sign: lambda x: vision.rotate(x, sign * angle)),
        signed(lambda sign: lambda x: vision.adjust_brightness(x, 1 + sign * factor)),
        signed(lambda sign: lambda x: vision.adjust_saturation(x, 1 + sign * factor)),
        signed(lambda sign: lambda x: vision.adjust_contrast(x, 1 + sign * factor)),
        signed(lambda sign: lambda x: vision.adjust_sharpness(x, 1 + sign * factor)),
        plain(lambda x: vision.posterize(x, bits)),
        plain(lambda x: vision.solarize(x, threshold)),
        plain(vision.autocontrast),
        plain(vision.equalize),
    ]
