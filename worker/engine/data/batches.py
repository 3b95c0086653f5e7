"""Batches from memory. Shapes: B batch, C channels, H height, W width."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from worker.engine.data.split import Split
from worker.engine.device import memory_bytes
from worker.engine.errors import IncompatibleDataset
from worker.engine.seeds import generator

Augmentation = Literal["none", "flip_and_crop"]
_PADDING: Final = 4
# A dataset below this share of the GPU's memory moves there once, instead of batch by batch.
_RESIDENT_SHARE: Final = 0.125


@dataclass(frozen=True)
class Batch:
    """Inputs as stored (uint8 or float32), labels, and positions in the split, on the device."""

    x: Tensor
    y: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Batches:
    """The batches of one epoch, from batch number `offset` on.

    Order and augmentation are functions of seed, epoch and batch number alone: an epoch resumed
    at an offset gives exactly the batches that were left. The last batch may be smaller.
    """

    split: Split
    batch_size: int
    device: torch.device
    seed: int = 0
    epoch: int = 0
    offset: int = 0
    shuffle: bool = False
    augmentation: Augmentation = "none"

    def __len__(self) -> int:
        """Batches of the whole epoch, whatever the offset."""
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self._order()
        for number in range(self.offset, len(self)):
            start = number * self.batch_size
            stop = min(start + self.batch_size, len(self.split))
            # In order, a slice is a view; a gather would copy.
            indices = slice(start, stop) if order is None else order[start:stop]
            x = _to_device(self.split.x[indices], self.device)
            y = _to_device(self.split.y[indices], self.device)
            positions = torch.arange(start, stop) if order is None else order[start:stop]
            yield Batch(self._augmented(x, number), y, _to_device(positions, self.device))

    def _order(self) -> Tensor | None:
        if not self.shuffle:
            return None
        draw = generator(self.seed, "order", self.epoch)
        return torch.randperm(len(self.split), generator=draw).to(self.split.x.device)

    def _augmented(self, x: Tensor, number: int) -> Tensor:
        match self.augmentation:
            case "none":
                return x
            case "flip_and_crop":
                draw = generator(self.seed, "augmentation", self.epoch, number)
                return flip_and_crop(x, draw)
            case _:
                assert_never(self.augmentation)


def flip_and_crop(x_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Mirror half of the images and shift each by up to 4 pixels, zeros moving in.

    Krizhevsky 2012's augmentation for CIFAR, in one gather for the whole batch.
    """
    if x_BCHW.ndim != 4:
        raise IncompatibleDataset(f"flip_and_crop needs images, got {list(x_BCHW.shape[1:])}")
    batch, channels, height, width = x_BCHW.shape
    shifts_2B = torch.randint(2 * _PADDING + 1, (2, batch), generator=draw).to(x_BCHW.device)
    flips_B = torch.randint(2, (batch,), generator=draw).bool().to(x_BCHW.device)
    at = x_BCHW.device
    columns_W = torch.arange(width, device=at)
    mirrored_BW = torch.where(flips_B[:, None], columns_W.flip(0), columns_W)
    rows_BH = shifts_2B[0, :, None] + torch.arange(height, device=at)
    columns_BW = shifts_2B[1, :, None] + mirrored_BW
    return F.pad(x_BCHW, (_PADDING,) * 4)[
        torch.arange(batch, device=at)[:, None, None, None],
        torch.arange(channels, device=at)[None, :, None, None],
        rows_BH[:, None, :, None],
        columns_BW[:, None, None, :],
    ]


@dataclass(frozen=True)
class Normalizer:
    """Turns stored inputs into what a model takes: float32, (x − mean) / std by channel.

    uint8 inputs are divided by 255 first. Images come out channels-last, which convolutions on
    processors and tensor cores run faster.
    """

    scale: Tensor
    shift: Tensor
    is_bytes: bool

    @classmethod
    def of(
        cls, mean: Sequence[float], std: Sequence[float], like: Tensor, device: torch.device
    ) -> "Normalizer":
        """For inputs of the type and rank of `like` [B, C, …], with one mean and std a channel."""
        if not len(mean) == len(std) == like.shape[1]:
            raise IncompatibleDataset(
                f"the model normalises {len(mean)} channels, the data has {like.shape[1]}"
            )
        is_bytes = like.dtype == torch.uint8
        mean_C = torch.tensor(mean, dtype=torch.float64)
        std_C = torch.tensor(std, dtype=torch.float64)
        shape = (1, -1, *(1,) * (like.ndim - 2))
        scale = (1 / (std_C * 255) if is_bytes else 1 / std_C).float().reshape(shape)
        shift = (-mean_C / std_C).float().reshape(shape)
        return cls(scale.to(device), shift.to(device), is_bytes)

    def __call__(self, x: Tensor) -> Tensor:
        layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
        return (
            x.to(torch.float32, memory_format=layout, copy=True).mul_(self.scale).add_(self.shift)
        )


def normalise(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`Normalizer` for a single use, on the device of `x`."""
    return Normalizer.of(mean, std, x, x.device)(x)


def resident(split: Split, device: torch.device) -> Split:
    """The split on the GPU if it is small beside the GPU's memory; else as it is."""
    if device.type == "cpu" or split.x.nbytes > _RESIDENT_SHARE * memory_bytes(device):
        return split
    return Split(split.x.to(device), split.y.to(device))


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    if tensor.device == device or device.type == "cpu":
        return tensor
    if tensor.device.type == "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
