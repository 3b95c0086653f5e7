"""Examples, in memory or mapped from a file. Shapes: N examples, then the shape of one input."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from worker.engine.data.statistics import ChannelStats
from worker.engine.errors import InvalidDataset
from worker.engine.seeds import generator

VALIDATION_SHARE = 0.1
MAX_CLASSES = 100_000
_COUNTED_ROWS = 1024  # counting takes eight times the bytes that it counts


@dataclass(frozen=True)
class Split:
    """Inputs x, uint8 or float32 [N, …] (images [N, C, H, W]), and labels y, int64 [N].

    Of the training split some labels may be −1: these examples have none.
    `on_disk`: x is a file's bytes, mapped, and need not fit into memory.
    """

    x: Tensor
    y: Tensor
    on_disk: bool = False

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Tensor) -> "Split":
        """A copy of the examples at `indices`, in that order."""
        return Split(self.x[indices], self.y[indices])


@dataclass(frozen=True)
class Data:
    """A dataset: validation selects, test is read once for the report.

    `digest` is a SHA-256 over names, types, shapes and bytes of all arrays; `labels` name the
    classes by index.
    """

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...] | None
    digest: str

    @classmethod
    def of(
        cls,
        train: Split,
        validation: Split,
        test: Split,
        labels: tuple[str, ...] | None = None,
        digest: str | None = None,
    ) -> Self:
        """Check that the splits belong together, and compute the digest.

        With a `digest`, which the one who wrote the arrays computed, the inputs are not read.
        """
        splits = {"train": train, "validation": validation, "test": test}
        for name, split in splits.items():
            _check(name, split, like=train)
            if digest is None:
                _check_values(name, split.x)
        highest = max(int(split.y.max()) for split in splits.values())
        if highest >= MAX_CLASSES:
            raise InvalidDataset(f"label {highest} is beyond the {MAX_CLASSES} classes allowed")
        if labels is not None and highest >= len(labels):
            raise InvalidDataset(f"label {highest} has no name among {len(labels)} labels")
        return cls(train, validation, test, labels, digest or _digest(splits))

    @property
    def classes(self) -> int:
        """Number of classes: that of the names, or one more than the highest label."""
        if self.labels is not None:
            return len(self.labels)
        return 1 + max(int(split.y.max()) for split in (self.train, self.validation, self.test))

    @property
    def input_size(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.train.x.shape[1:])


def cut(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """(rest, part): about `share` of each class goes to the part; a function of the seed.

    Order is kept. A class of one example stays whole in the rest.
    """
    chosen = drawn(split.y, share, seed)
    return split.take(torch.nonzero(~chosen).flatten()), split.take(chosen.nonzero().flatten())


def drawn(y: Tensor, share: float, seed: int) -> Tensor:
    """Which of the labels `cut` takes for the part, bool [N]; no example without a label."""
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), got {share}")
    if not bool((y >= 0).any()):
        raise InvalidDataset("no example has a label that is not negative")
    chosen = torch.zeros(len(y), dtype=torch.bool)
    for label in torch.unique(y[y >= 0]).tolist():
        members = torch.nonzero(y == label).flatten()
        wanted = min(len(members) - 1, max(1, round(share * len(members))))
        order = torch.randperm(len(members), generator=generator(seed, "cut", label))
        chosen[members[order[:wanted]]] = True
    if not chosen.any():
        raise InvalidDataset(
            f"{len(y)} examples, one of each class, leave none for another split",
            hint="Send a validation split, or more examples of each class.",
        )
    return chosen


def channel_stats(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of each channel, exact for uint8, whose values are divided by 255.

    A constant channel gets std 1, so that normalising it is defined.
    """
    stats = ChannelStats()
    for rows in torch.split(split.x, _COUNTED_ROWS):
        stats.see(rows.numpy())
    return stats.mean_and_std()


def _check(name: str, split: Split, like: Split) -> None:
    x, y = split.x, split.y
    if x.dtype not in (torch.uint8, torch.float32):
        raise InvalidDataset(f"{name} inputs must be uint8 or float32, got {x.dtype}")
    if y.dtype != torch.int64 or y.ndim != 1:
        raise InvalidDataset(f"{name} labels must be one integer per example")
    if len(x) != len(y):
        raise InvalidDataset(f"{name} has {len(x)} inputs and {len(y)} labels")
    if not len(y):
        raise InvalidDataset(f"{name} has no examples")
    if x.ndim < 2 or 0 in x.shape:
        raise InvalidDataset(f"{name} inputs have the shape {tuple(x.shape)}")
    if x.shape[1:] != like.x.shape[1:] or x.dtype != like.x.dtype:
        raise InvalidDataset(f"{name} inputs differ from the training inputs in shape or type")
    # −1 stands for no label: a teacher can say what it thinks of such an example.
    if int(y.min()) < (-1 if name == "train" else 0):
        raise InvalidDataset(f"{name} has a negative label")
    if int(y.max()) < 0:
        raise InvalidDataset(f"{name} has no labelled example")


def _check_values(name: str, x: Tensor) -> None:
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise InvalidDataset(f"{name} inputs hold values that are not finite")


def _digest(splits: Mapping[str, Split]) -> str:
    digest = hashlib.sha256()
    for name, split in splits.items():
        for letter, tensor in (("x", split.x), ("y", split.y)):
            array = tensor.contiguous().numpy()
            digest.update(digest_name(f"{name}_{letter}", array.dtype, array.shape))
            digest.update(array.data)
    return digest.hexdigest()


def digest_name(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What a dataset's digest takes of an array before its bytes."""
    return f"{name}:{dtype.str}:{shape}:".encode()
