"""How long a forward pass takes, measured side by side, and how sure we are of a ratio."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

_LEAST_SAMPLES: Final = 3
_RESAMPLES: Final = 2000

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Latency:
    """Raw samples in seconds, in the order taken, and what follows from them in milliseconds.

    `block_sizes` says how many samples each turn of an interleaved measurement gave. Samples may
    come from several `executions`, processes that had the same number of turns each, one process
    after the other.
    """

    samples_s: tuple[float, ...]
    block_sizes: tuple[int, ...]
    executions: int = 1

    @classmethod
    def from_samples(
        cls,
        samples_s: Sequence[float],
        block_sizes: Sequence[int] | None = None,
        executions: int = 1,
    ) -> Self:
        """At least one sample, all positive; without `block_sizes` they are one block."""
        if not samples_s or min(samples_s) <= 0:
            raise ValueError("a latency needs samples, all of them positive")
        sizes = (len(samples_s),) if block_sizes is None else tuple(block_sizes)
        if sum(sizes) != len(samples_s) or min(sizes) < 1:
            raise ValueError(f"blocks of {sizes} do not make {len(samples_s)} samples")
        if len(sizes) % executions:
            raise ValueError(f"{len(sizes)} blocks cannot be shared by {executions} executions")
        return cls(tuple(samples_s), sizes, executions)

    @classmethod
    def from_executions(cls, turns_s: Sequence[Sequence[Sequence[float]]]) -> Self:
        """Samples [execution][turn][sample]."""
        turns = [turn for execution in turns_s for turn in execution]
        samples = [sample for turn in turns for sample in turn]
        return cls.from_samples(samples, [len(turn) for turn in turns], len(turns_s))

    @property
    def samples_ms(self) -> tuple[float, ...]:
        return tuple(sample * 1e3 for sample in self.samples_s)

    @property
    def p50_ms(self) -> float:
        return self._percentile_ms(50)

    @property
    def p90_ms(self) -> float:
        return self._percentile_ms(90)

    @property
    def p95_ms(self) -> float:
        return self._percentile_ms(95)

    @property
    def p99_ms(self) -> float:
        return self._percentile_ms(99)

    @property
    def mean_ms(self) -> float:
        return float(np.mean(self.samples_ms))

    @property
    def std_ms(self) -> float:
        """Of the population."""
        return float(np.std(self.samples_ms))

    @property
    def cv(self) -> float:
        """Coefficient of variation: std ÷ mean. Above 0.1 the machine was not quiet."""
        return self.std_ms / self.mean_ms

    def block_medians_s(self) -> Array:
        """The median of each block: [executions, turns]."""
        ends = np.cumsum(self.block_sizes)[:-1]
        blocks = np.split(np.asarray(self.samples_s, dtype=np.float64), ends)
        return np.array([np.median(block) for block in blocks]).reshape(self.executions, -1)

    def _percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.samples_ms, percent))


@dataclass(frozen=True)
class Speedup:
    """baseline ÷ compressed: the median of paired ratios, and its 95 % bootstrap interval."""

    median: float
    low: float
    high: float


def measure_interleaved(
    callables: Mapping[str, Callable[[], Any]],
    *,
    warmup_s: float = 0.3,
    blocks: int = 10,
    block_s: float = 0.2,
    samples_per_block: int | None = None,
    synchronize: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Latency]:
    """Time each callable in turns, A B A B, so that a drift of the machine meets all alike.

    A turn lasts `block_s` seconds but gives at least three samples, or exactly
    `samples_per_block`. A sample ends when `synchronize` returns. Its first call in a turn is
    not counted: it finds the caches as the others left them. Between turns `should_stop` is
    asked; True gives what the complete rounds hold, or ValueError before the first.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
    for call in callables.values():
        _sample(call, synchronize, warmup_s, None)
    taken: dict[str, list[list[float]]] = {name: [] for name in callables}
    for _ in range(blocks):
        if should_stop():
            break
        for name, call in callables.items():
            call()
            synchronize()
            taken[name].append(_sample(call, synchronize, block_s, samples_per_block))
    return {name: Latency.from_executions([turns]) for name, turns in taken.items()}


def speedup(baseline: Latency, compressed: Latency, seed: int = 0) -> Speedup:
    """How much faster `compressed` is, from two latencies of one interleaved measurement.

    Each round gives one ratio of medians for each pair of executions. Two processes of the same
    file differ for as long as they live, by where their memory and threads came to lie, so the
    interval resamples executions of either side as well as rounds (Kalibera and Jones 2013,
    "Rigorous benchmarking in reasonable time"): rounds alone say too little.
    """
    if len(baseline.block_sizes) != len(compressed.block_sizes):
        raise ValueError("both must come from the same interleaved measurement")
    slow, fast = baseline.block_medians_s(), compressed.block_medians_s()
    if slow.shape != fast.shape:
        raise ValueError("both must have the same number of executions")
    executions, rounds = slow.shape
    draw = np.random.default_rng(seed)
    ours = draw.integers(executions, size=(_RESAMPLES, executions, 1))
    theirs = draw.integers(executions, size=(_RESAMPLES, executions, 1))
    which = draw.integers(rounds, size=(_RESAMPLES, 1, rounds))
    drawn = slow[ours, which] / fast[theirs, which]
    low, high = np.percentile(np.median(drawn, axis=(1, 2)), (2.5, 97.5))
    every = slow[:, None, :] / fast[None, :, :]
    return Speedup(float(np.median(every)), float(low), float(high))


def _sample(
    call: Callable[[], Any], synchronize: Callable[[], None], seconds: float, count: int | None
) -> list[float]:
    samples: list[float] = []
    begin = previous = time.perf_counter()
    while len(samples) < (count or _LEAST_SAMPLES) or (
        count is None and previous - begin < seconds
    ):
        start = time.perf_counter()
        call()
        synchronize()
        previous = time.perf_counter()
        samples.append(previous - start)
    return samples
