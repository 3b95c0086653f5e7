"""Examples that need not fit into memory: rows of one shape, read in pieces.

Intake reads anybody's files into rows, picks rows for each split and writes them in canonical
form; only a few megabytes are ever in memory. Shapes: N rows, then the shape of one input.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.engine.errors import DiskFull, InvalidDataset

Array = NDArray[Any]

MAX_BYTES: Final = 64 * 2**30
"""Of one dataset, decoded."""
_CHUNK_BYTES: Final = 8 << 20
_SPARE_BYTES: Final = 256 << 20  # a disk filled to its end stops more than this check


class Rows(Protocol):
    """Inputs of one shape and type, in an order that does not change."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Array:
        """Rows [start, stop), in memory that is the caller's to read until the next call."""
        ...


@dataclass(frozen=True)
class ArrayRows:
    """Rows that are in memory already."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def read(self, start: int, stop: int) -> Array:
        return self.array[start:stop]


class Spool:
    """Rows in a file without a name, gone when it is closed: appended first, read afterwards."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self._row_bytes = prod(shape) * dtype.itemsize
        self._count = 0
        self._file = path.open("w+b")
        path.unlink()

    def append(self, rows: Array) -> None:
        """Add rows [N, …] to the end."""
        assert rows.shape[1:] == self.shape
        assert rows.dtype == self.dtype
        self._file.write(np.ascontiguousarray(rows).data)
        self._count += len(rows)

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> Array:
        self._file.seek(start * self._row_bytes)
        flat = np.frombuffer(self._file.read((stop - start) * self._row_bytes), self.dtype)
        return flat.reshape(stop - start, *self.shape)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


@dataclass(frozen=True)
class Part:
    """The examples of one split: the rows at `order`, which ascends, and their labels [N]."""

    rows: Rows
    order: NDArray[np.int64]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.order)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """[N, …]."""
        return (len(self.order), *self.rows.shape)

    @property
    def x_bytes(self) -> int:
        """Size of all its inputs."""
        return prod(self.x_shape) * self.rows.dtype.itemsize

    def chunks(self) -> Iterator[Array]:
        """Its inputs in order, some megabytes at a time."""
        row_bytes = prod(self.rows.shape) * self.rows.dtype.itemsize
        reach = max(1, _CHUNK_BYTES // row_bytes)
        at = 0
        while at < len(self.order):
            start = int(self.order[at])
            end = int(np.searchsorted(self.order, start + reach))
            block = self.rows.read(start, int(self.order[end - 1]) + 1)
            yield block[self.order[at:end] - start]
            at = end


def reserve(folder: Path, dataset_bytes: int, copies: int = 1) -> None:
    """Say no before the work rather than in its middle: `DiskFull`, or `InvalidDataset` where no
    disk would do."""
    if dataset_bytes > MAX_BYTES:
        raise InvalidDataset(f"{dataset_bytes} bytes decoded are more than the {MAX_BYTES} allowed")
    wanted, free = copies * dataset_bytes, shutil.disk_usage(folder).free
    if wanted + _SPARE_BYTES > free:
        raise DiskFull(f"the data need {wanted} bytes of disk, {free} are free")
