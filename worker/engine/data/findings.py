"""What a careful reader should know of a dataset, gathered while it is written."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine.data.rows import Array
from worker.engine.data.statistics import ChannelStats

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Sizes:
    """Of images as they came: of the fewest and of the most pixels, and of the most images."""

    smallest: Size
    largest: Size
    commonest: Size

    @classmethod
    def of(cls, seen: Mapping[Size, int]) -> "Sizes":
        """Of how many images have each size; not empty."""
        by_pixels = sorted(seen, key=lambda size: (size[0] * size[1], size))
        return cls(by_pixels[0], by_pixels[-1], commonest(seen))


def commonest(seen: Mapping[Size, int]) -> Size:
    """Of equally common sizes the larger, so that the answer does not hang on the files' order."""
    return max(seen, key=lambda size: (seen[size], size))


@dataclass(frozen=True)
class Shared:
    """So many examples of the split `second` are, to the last bit, in `first` too."""

    first: str
    second: str
    count: int


@dataclass(frozen=True)
class Findings:
    """`sizes` is None for what are not images; of the undecodable the first names are kept."""

    sizes: Sizes | None
    duplicates: tuple[Shared, ...]
    undecodable: int
    undecodable_names: tuple[str, ...]


class Survey:
    """Sees the inputs of all splits once, in pieces; tells training statistics and duplicates."""

    def __init__(self) -> None:
        self._stats = ChannelStats()
        self._hashes: dict[str, list[NDArray[np.uint64]]] = {}

    def see(self, split: str, rows: Array) -> None:
        """Some examples of a split."""
        if split == "train":
            self._stats.see(rows)
        self._hashes.setdefault(split, []).append(_hashes(rows))

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of train, by channel."""
        return self._stats.mean_and_std()

    def duplicates(self) -> tuple[Shared, ...]:
        """Pairs of splits that share examples."""
        hashes = {split: np.concatenate(pieces) for split, pieces in self._hashes.items()}
        pairs = (
            Shared(first, second, int(np.isin(hashes[second], hashes[first]).sum()))
            for first, second in combinations(hashes, 2)
        )
        return tuple(shared for shared in pairs if shared.count)


def _hashes(rows: NDArray[Any]) -> NDArray[np.uint64]:
    # 64 bits: among a million and a hundred thousand examples one false alarm in 10^8 datasets.
    digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in _each(rows))
    return np.frombuffer(digests, np.uint64)


def _each(rows: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
