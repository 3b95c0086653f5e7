"""What goes wrong with any file: cut, bits that flip, bytes that are lost, numbers that lie."""

import random
from collections.abc import Callable, Iterator

from tests.faults.case import Case

Mutation = Callable[[random.Random, bytes], bytes]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _flip_one_bit(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_at_an_end(rng: random.Random, data: bytes) -> bytes:
    """Where most formats keep what describes the rest."""
    changed = bytearray(data)
    span = min(len(data), 256)
    at = rng.randrange(span)
    changed[rng.choice((at, len(data) - 1 - at))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _scramble(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(2, 64)):
        changed[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(changed)


def _zero(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    length = min(rng.randint(1, 512), len(data) - at)
    return data[:at] + bytes(length) + data[at + length :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 64)) + data[at:]


def _lose(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randint(1, 64) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at : at + rng.randint(8, 512)] + data[at:]


def _swap(rng: random.Random, data: bytes) -> bytes:
    first, second, third = sorted(rng.randrange(len(data)) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _inflate(rng: random.Random, data: bytes) -> bytes:
    """A number, wherever one may be, becomes one of those that overflow."""
    width = rng.choice((2, 4, 8))
    value = rng.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (4 * width)))
    at = rng.choice((rng.randrange(min(512, len(data))), rng.randrange(len(data))))
    return data[:at] + value.to_bytes(width, "little") + data[at + width :]


def _append(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.randint(1, 256))


def _prepend(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.randint(1, 256)) + data


MUTATIONS: dict[str, tuple[int, Mutation]] = {
    "cut": (36, _cut),
    "one bit flipped": (50, _flip_one_bit),
    "one bit flipped at an end": (50, _flip_at_an_end),
    "bytes scrambled": (24, _scramble),
    "a stretch of zeros": (16, _zero),
    "bytes inserted": (10, _insert),
    "bytes lost": (10, _lose),
    "a stretch twice": (10, _repeat),
    "two stretches swapped": (8, _swap),
    "a number inflated": (24, _inflate),
    "bytes appended": (3, _append),
    "bytes in front": (3, _prepend),
}
"""How many of each are made of a file."""


def mutants(seed: Case, number: int) -> Iterator[Case]:
    """All of a good file, the same for the same number."""
    rng = random.Random(f"{number} {seed.name}")
    for how, (count, mutate) in MUTATIONS.items():
        for index in range(count):
            yield seed.altered(f"{how} ({index})", mutate(rng, seed.data))
