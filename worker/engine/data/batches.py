"""Batches from memory or from disk. Shapes: N examples, B batch, C channels, H, W sides."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from worker.engine.data.augment import Augmentation as Augmentation
from worker.engine.data.augment import augment
from worker.engine.data.mix import Mix, mix, neighbours
from worker.engine.data.split import Split
from worker.engine.data.stream import made_ahead
from worker.engine.device import memory_bytes
from worker.engine.errors import IncompatibleDataset
from worker.engine.seeds import derived_seed, generator

# A dataset below this share of the GPU's memory moves there once, instead of batch by batch.
_RESIDENT_SHARE: Final = 0.125
_MOST_READERS: Final = 8
_MOST_AHEAD: Final = 256 * 2**20  # bytes of batches that are read before they are asked for


@dataclass(frozen=True)
class Batch:
    """Inputs in the units they are stored in, labels, and positions in the split, on the device.

    Where inputs are mixed, labels and positions are those of the example that shows the most.
    """

    x: Tensor
    y: Tensor
    positions: Tensor
    mix: Mix | None = None

    def __len__(self) -> int:
        return len(self.y)

    def chunks(self, count: int) -> Iterator["Batch"]:
        """At most `count` batches whose sizes differ by one at most, in order."""
        parts = min(count, len(self))
        edges = [part * len(self) // parts for part in range(parts + 1)]
        for start, stop in pairwise(edges):
            yield self.at(slice(start, stop))

    def at(self, rows: slice) -> "Batch":
        """Some of it."""
        mix = None if self.mix is None else Mix(self.mix.labels[rows], self.mix.share)
        return Batch(self.x[rows], self.y[rows], self.positions[rows], mix)


@dataclass(frozen=True)
class Batches:
    """The batches of one epoch, from batch number `offset` on.

    Order and augmentation are functions of seed, epoch and batch number alone: an epoch resumed
    at an offset gives exactly the batches that were left. The last batch may be smaller, but not
    one example, which batch norm cannot learn from: that joins the batch before. Images come
    channels-last. What lies on disk is gathered ahead, by threads.
    """

    split: Split
    batch_size: int
    device: torch.device
    seed: int = 0
    epoch: int = 0
    offset: int = 0
    shuffle: bool = False
    augmentation: Augmentation = "none"
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0

    def __len__(self) -> int:
        """Batches of the whole epoch, whatever the offset."""
        full, rest = divmod(len(self.split), self.batch_size)
        joins = rest == 1 and full > 0
        return full if rest == 0 or joins else full + 1

    def __iter__(self) -> Iterator[Batch]:
        gather = partial(self._gathered, self._order())
        numbers = range(self.offset, len(self))
        if not self.split.on_disk:
            for number in numbers:
                yield self._changed(gather(number), number)
            return
        workers = min(_MOST_READERS, len(os.sched_getaffinity(0)) + 1)
        batch_bytes = max(1, self.split.x[0].nbytes * self.batch_size)
        ahead = max(2, min(2 * workers, _MOST_AHEAD // batch_bytes))
        stream = made_ahead(gather, numbers, workers=workers, ahead=ahead)
        with closing(stream):
            for number, batch in zip(numbers, stream, strict=True):
                yield self._changed(batch, number)

    def _order(self) -> Tensor | None:
        if not self.shuffle:
            return None
        draw = generator(self.seed, "order", self.epoch)
        return torch.randperm(len(self.split), generator=draw).to(self.split.x.device)

    def _gathered(self, order: Tensor | None, number: int) -> Batch:
        start = number * self.batch_size
        stop = len(self.split) if number == len(self) - 1 else start + self.batch_size
        rows = slice(start, stop) if order is None else order[start:stop]
        positions = torch.arange(start, stop) if order is None else order[start:stop]
        return Batch(
            _to_device(_picked(self.split.x, rows), self.device),
            _to_device(self.split.y[rows], self.device),
            _to_device(positions, self.device),
        )

    def _changed(self, batch: Batch, number: int) -> Batch:
        draw = generator(self.seed, "augmentation", self.epoch, number)
        x, y, positions = augment(batch.x, self.augmentation, draw), batch.y, batch.positions
        chance = np.random.default_rng(derived_seed(self.seed, "mix", self.epoch, number))
        blend = mix(x, self.mixup_alpha, self.cutmix_alpha, chance)
        if blend is None:
            return Batch(x, y, positions)
        if not blend.swapped:
            return Batch(blend.x, y, positions, Mix(neighbours(y), blend.share))
        return Batch(blend.x, neighbours(y), neighbours(positions), Mix(y, blend.share))


@dataclass(frozen=True)
class Normalizer:
    """Turns stored inputs into what a model takes: float32, (x − mean) / std by channel.

    uint8 inputs are divided by 255 first. Images come out channels-last, which convolutions on
    processors and tensor cores run faster.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(
        cls, mean: Sequence[float], std: Sequence[float], like: Tensor, device: torch.device
    ) -> "Normalizer":
        """For inputs of the type and shape of `like` [B, C, …], with one mean and std a channel."""
        if not len(mean) == len(std) == like.shape[1]:
            raise IncompatibleDataset(
                f"the model normalises {len(mean)} channels, the data has {like.shape[1]}"
            )
        is_bytes = like.dtype == torch.uint8
        mean_C = torch.tensor(mean, dtype=torch.float64)
        std_C = torch.tensor(std, dtype=torch.float64)
        scale_C = 1 / (std_C * 255) if is_bytes else 1 / std_C
        return cls(_spread(scale_C, like, device), _spread(-mean_C / std_C, like, device))

    def __call__(self, x: Tensor) -> Tensor:
        layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
        # In one pass over memory, which is what this waits for.
        return torch.addcmul(self.shift, x.to(torch.float32, memory_format=layout), self.scale)


def _spread(values_C: Tensor, like: Tensor, device: torch.device) -> Tensor:
    values = values_C.float().reshape(1, -1, *(1,) * (like.ndim - 2))
    if like.ndim == 4:
        # One value a pixel of a row: runs of one value a channel are too short for the processor.
        values = values.expand(-1, -1, -1, like.shape[3])
        values = values.clone(memory_format=torch.channels_last)
    return values.to(device)


def normalise(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`Normalizer` for a single use, on the device of `x`."""
    return Normalizer.of(mean, std, x, x.device)(x)


def resident(split: Split, device: torch.device) -> Split:
    """The split on the GPU if it is small beside the GPU's memory; else as it is."""
    if device.type == "cpu" or split.x.nbytes > _RESIDENT_SHARE * memory_bytes(device):
        return split
    return Split(split.x.to(device), split.y.to(device))


def _picked(x: Tensor, rows: slice | Tensor) -> Tensor:
    if x.ndim != 4 or x.is_contiguous():
        picked = x[rows] if isinstance(rows, slice) else x.index_select(0, rows)
        return picked.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else picked
    # The view whose rows lie in one piece: copying them is seventeen times as fast as indexing.
    x_NHWC = x.permute(0, 2, 3, 1)
    picked = x_NHWC[rows] if isinstance(rows, slice) else x_NHWC.index_select(0, rows)
    return picked.permute(0, 3, 1, 2)


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    if tensor.device == device or device.type == "cpu":
        return tensor
    if tensor.device.type == "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
