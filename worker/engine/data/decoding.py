"""From encoded images, wherever they lie, to rows of pixels in a file."""

import os
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.engine.data.findings import Size, Sizes, commonest
from worker.engine.data.images import Decoded, Undecodable, decode, size_of
from worker.engine.data.listing import Encoded, Listing
from worker.engine.data.rows import Spool, reserve
from worker.engine.errors import InvalidDataset

NAMES_KEPT: Final = 20
_SAMPLE: Final = 10_000  # headers that tell the commonest size; all of most datasets
_AT_ONCE: Final = 16  # images a task; one by one, handing them out costs more than small ones do
_AHEAD: Final = 3  # tasks a thread that may wait: what bounds memory
_CHANNELS: Final = 3

_Results = list[Decoded | Undecodable]


@dataclass(frozen=True)
class Collected:
    """Pixels of all images that can be read, uint8 [3, H, W] each, with their splits and labels."""

    rows: Spool
    splits: NDArray[np.str_]
    y: NDArray[np.int64]
    sizes: Sizes
    undecodable: int
    undecodable_names: tuple[str, ...]


@dataclass
class _Tally:
    allowed: int
    splits: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    sizes: Counter[Size] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    undecodable: int = 0

    def take(self, image: Encoded, decoded: Decoded) -> None:
        self.splits.append(image.split)
        self.labels.append(image.label)
        self.sizes[decoded.came_as] += 1

    def skip(self, image: Encoded, why: Undecodable) -> None:
        self.undecodable += 1
        if len(self.names) < NAMES_KEPT:
            self.names.append(image.name)
        if self.undecodable > self.allowed:
            raise InvalidDataset(
                f"{self.undecodable} images cannot be decoded, more than `undecodable_share` "
                f"allows, the first of them {self.names[0]}; the last said: {why}"[:1000]
            )


def collect(
    listing: Listing, folder: Path, size: Size | None, undecodable_share: float
) -> Collected:
    """Decode everything into a file in `folder`; the caller closes `rows`.

    `size` None is the commonest of a sample of the images. Images that cannot be read are left
    out, up to a share of all. Raises InvalidDataset, DiskFull.
    """
    if not len(listing):
        raise InvalidDataset("there are no images")
    with warnings.catch_warnings():
        # Pillow warns of oddities such as broken EXIF, an image each; filters are all threads'.
        warnings.simplefilter("ignore")
        return _collect(listing, folder, size or _common_size(listing), undecodable_share)


def _collect(listing: Listing, folder: Path, size: Size, undecodable_share: float) -> Collected:
    # Twice: the spool, and the canonical file that is written from it.
    reserve(folder, len(listing) * _CHANNELS * size[0] * size[1], copies=2)
    tally = _Tally(allowed=int(undecodable_share * len(listing)))
    spool = Spool(folder / "spool", (_CHANNELS, *size), np.dtype(np.uint8))
    try:
        for images, results in _decoded(listing, size):
            for image, result in zip(images, results, strict=True):
                if isinstance(result, Undecodable):
                    tally.skip(image, result)
                else:
                    spool.append(result.pixels[None])
                    tally.take(image, result)
    except BaseException:
        spool.close()
        raise
    return Collected(
        rows=spool,
        splits=np.array(tally.splits, dtype="U10"),
        y=np.array(tally.labels, dtype=np.int64),
        sizes=Sizes.of(tally.sizes),
        undecodable=tally.undecodable,
        undecodable_names=tuple(tally.names),
    )


def _common_size(listing: Listing) -> Size:
    sizes: Counter[Size] = Counter()
    refused = ""
    for image in listing.sample(_SAMPLE):
        try:
            with image.open() as file:
                sizes[size_of(file)] += 1
        except Undecodable as error:
            refused = refused or f"{image.name}: {error}"
    if not sizes:
        raise InvalidDataset(f"no image can be read; {refused}"[:1000])
    return commonest(sizes)


def _decoded(listing: Listing, size: Size) -> Iterator[tuple[Sequence[Encoded], _Results]]:
    """All images in order, decoded by as many threads as there are processors."""
    threads = len(os.sched_getaffinity(0))
    waiting: deque[tuple[Sequence[Encoded], Future[_Results]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            remaining = iter(listing)
            while images := tuple(islice(remaining, _AT_ONCE)):
                waiting.append((images, pool.submit(_decode_all, images, size)))
                if len(waiting) >= threads * _AHEAD:
                    first, task = waiting.popleft()
                    yield first, task.result()
            for rest, task in waiting:
                yield rest, task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _decode_all(images: Iterable[Encoded], size: Size) -> _Results:
    found: _Results = []
    for image in images:
        try:
            with image.open() as file:
                found.append(decode(file, size))
        except Undecodable as error:
            found.append(error)
    return found
