"""Samples of one forward pass, in the process that runs it."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from worker.engine.device import synchronizer
from worker.engine.measure.runner import Runner

LEAST_SAMPLES: Final = 3
_STABLE: Final = 0.03  # of the window before; below it more warm-up changes nothing that we see
_WINDOWS: Final = 3  # the least warm-up in parts, to be compared
_LONGEST: Final = 10  # times the least warm-up

Sample = Callable[[], float]


def sampler(runner: Runner, device: torch.device) -> Sample:
    """A function that runs one forward pass and says how many seconds it took.

    On GPUs CUDA events measure what torch runs, from the first kernel to the last; what other
    runtimes run ends with a synchronisation.
    """
    if runner.on_stream:
        return lambda: _by_events(runner)
    synchronize = synchronizer(device)

    def sample() -> float:
        start = time.perf_counter()
        runner.forward()
        synchronize()
        return time.perf_counter() - start

    return sample


def turn(sample: Sample, seconds: float) -> list[float]:
    """Samples of `seconds`, at least three, after one that is not counted: it finds the caches as
    the others left them."""
    sample()
    return _window(sample, seconds)


def warm_up(sample: Sample, seconds: float) -> bool:
    """Run for at least `seconds`, and on until the median stays; at most ten times that.

    Whether it stayed.
    """
    medians: list[float] = []
    while len(medians) < _WINDOWS * _LONGEST:
        medians.append(statistics.median(_window(sample, seconds / _WINDOWS)))
        if is_stable(medians):
            return True
    return False


def is_stable(medians: Sequence[float]) -> bool:
    """Whether the last of at least three windows differs little from the two before it."""
    if len(medians) < _WINDOWS:
        return False
    last = medians[-1]
    return all(abs(one - last) <= _STABLE * last for one in medians[-_WINDOWS:-1])


def _window(sample: Sample, seconds: float) -> list[float]:
    samples: list[float] = []
    begin = time.perf_counter()
    while len(samples) < LEAST_SAMPLES or time.perf_counter() - begin < seconds:
        samples.append(sample())
    return samples


def _by_events(runner: Runner) -> float:
    event: Any = torch.cuda.Event
    start, end = event(enable_timing=True), event(enable_timing=True)
    start.record()
    runner.forward()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3
