"""Several processes that take the steps of one run together, each its rows of every batch.

All of them call what reduces or shares at the same points, in the same order: a process that does
not come is waited for. Tensors on the CPU travel by gloo, those on GPUs by nccl.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch import distributed as dist
from torch._C._distributed_c10d import FileStore  # what torch.distributed has by that name

from worker.engine.errors import RankLost

MOST_RANKS: Final = 8
# One process may write a checkpoint, read a large dataset, or give way to a benchmark while the
# others wait for it; one that dies is noticed by who started it. The longest job is 10 h.
_PATIENCE: Final = timedelta(hours=12)


@dataclass(frozen=True)
class Group:
    """This process among `size`; the one of `rank` 0 speaks and writes for all.

    Alone, everything here passes on what it was given.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Which of `count` rows are this process's; sizes differ by one at most, and may be 0."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def add(self, tensors: Sequence[Tensor]) -> None:
        """In place, the sum over all processes; the same bits on each."""
        if self.size == 1 or not tensors:
            return
        # One message: what a small one costs is its way, not its size.
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        with _loss_of_ranks():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process. Waits for processes, not for devices."""
        if self.size == 1:
            return flag
        seen = torch.tensor([int(flag)])
        with _loss_of_ranks():
            dist.all_reduce(seen, dist.ReduceOp.MAX)
        return bool(seen)

    def lowest(self, value: int) -> int:
        """Of the values of all processes."""
        if self.size == 1:
            return value
        seen = torch.tensor([value])
        with _loss_of_ranks():
            dist.all_reduce(seen, dist.ReduceOp.MIN)
        return int(seen)

    def first(self, *values: float) -> tuple[float, ...]:
        """The values of the first process, exactly. Waits for processes, not for devices."""
        if self.size == 1:
            return values
        seen = torch.tensor(values, dtype=torch.float64)
        with _loss_of_ranks():
            dist.broadcast(seen, 0)
        return tuple(seen.tolist())


ALONE: Final = Group()


@contextmanager
def joined(rank: int, size: int, meeting: Path) -> Iterator[Group]:
    """This process as one of `size`, which meet by a file that was not there before.

    Once in a process, which takes its share of the threads. Raises `RankLost` where another did
    not come.
    """
    if not 0 <= rank < size <= MOST_RANKS:
        raise ValueError(f"rank {rank} of {size} processes: at most {MOST_RANKS}")
    for library in ("GLOO", "NCCL"):  # on one machine, whose own name may not resolve
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    torch.set_num_threads(max(1, torch.get_num_threads() // size))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _loss_of_ranks():
        dist.init_process_group(
            backend, store=FileStore(str(meeting), size), rank=rank, world_size=size,
            timeout=_PATIENCE,
        )  # fmt: skip
    yield Group(rank, size)
    dist.destroy_process_group()  # not after a failure: it may wait for who is gone


@contextmanager
def _loss_of_ranks() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # gloo's connection errors and DistError are of this class
        raise RankLost(f"another process of the job was lost: {error}") from error
