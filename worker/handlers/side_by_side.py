"""Saved models of one job, timed beside each other."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from service.contract.benchmark import Runtime
from worker.engine.device import synchronizer
from worker.engine.errors import Stopped
from worker.engine.measure.latency import Latency, measure_interleaved
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.models.folder import is_graph, read_config
from worker.handlers.common import Job
from worker.tuning import SETTINGS

_BLOCKS, _BLOCK_S = 8, 0.1


@dataclass(frozen=True)
class Saved:
    """A model folder and what runs it."""

    folder: Path
    runtime: Runtime

    @classmethod
    def natural(cls, folder: Path) -> Self:
        """In PyTorch, or in the runtime that a graph is for."""
        return cls(folder, "onnxruntime" if is_graph(read_config(folder)) else "eager")


@dataclass(frozen=True)
class Timed:
    """One of several in turns; `precision` is what its runtime says it computes in."""

    saved: Saved
    latency: Latency
    precision: str


def in_turns(job: Job, saved: Mapping[str, Saved], batch_size: int) -> dict[str, Timed]:
    """Saved models, all in one process and in turns. Raises `Stopped`."""
    runners = {
        name: RUNTIMES[one.runtime](
            one.folder,
            batch_size=batch_size,
            device=job.device,
            threads=threads_here(),
            precision=job.precision,
        )
        for name, one in saved.items()
    }
    with job.alone():
        timed = measure_interleaved(
            runners,
            warmup_s=0.1,
            blocks=_BLOCKS,
            block_s=_BLOCK_S,
            synchronize=synchronizer(job.device),
            should_stop=job.observer.should_stop,
        )
    if job.observer.should_stop():  # half a measurement is none
        raise Stopped
    return {name: Timed(one, timed[name], runners[name].precision) for name, one in saved.items()}


def side_by_side(job: Job, folders: Mapping[str, Path], batch_size: int) -> dict[str, Latency]:
    """Latencies in PyTorch. Raises `Stopped`."""
    saved = {name: Saved(folder, "eager") for name, folder in folders.items()}
    return {name: one.latency for name, one in in_turns(job, saved, batch_size).items()}


def threads_here() -> int:
    """Threads of one operator: all processors that this process may use."""
    return len(os.sched_getaffinity(0))


def timing_environment() -> dict[str, str]:
    """That of a process that times: without what `worker.tuning` added for training.

    Training shares the machine, so its threads sleep while they wait. A timing process is the only
    one that runs, and is to run as the libraries do where nobody has tuned anything: what is
    measured is what will be met elsewhere. An operator's own settings stay.
    """
    return {name: value for name, value in os.environ.items() if SETTINGS.get(name) != value}
