"""A file of any size that is nowhere: each of its mebibytes can be made again."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class LargeFile:
    """`mebibytes` of noise."""

    mebibytes: int
    seed: int = 0

    @property
    def size(self) -> int:
        """In bytes."""
        return self.mebibytes * BLOCK

    def __iter__(self) -> Iterator[bytes]:
        return map(self._block, range(self.mebibytes))

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end)."""
        first, last = start // BLOCK, -(-end // BLOCK)
        data = b"".join(self._block(number) for number in range(first, last))
        return data[start - first * BLOCK : end - first * BLOCK]

    def ranges(self, count: int, longest: int) -> Iterator[tuple[int, int]]:
        """Random stretches, the very first and the very last byte among them."""
        rng = random.Random(self.seed)
        yield 0, 1
        yield self.size - 1, self.size
        for _ in range(count - 2):
            start = rng.randrange(self.size)
            yield start, min(self.size, start + rng.randint(1, longest))

    def _block(self, number: int) -> bytes:
        return random.Random(f"{self.seed} {number}").randbytes(BLOCK)
