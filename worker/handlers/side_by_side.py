"""Saved models of one job, timed beside each other."""

import os
from collections.abc import Mapping
from pathlib import Path

from worker.engine.device import synchronizer
from worker.engine.errors import Stopped
from worker.engine.measure.latency import Latency, measure_interleaved
from worker.engine.measure.runtimes import RUNTIMES
from worker.handlers.common import Job

_BLOCKS, _BLOCK_S = 8, 0.1


def side_by_side(
    job: Job, folders: Mapping[str, Path], batch_size: int, runtime: str = "eager"
) -> dict[str, Latency]:
    """Latencies of saved models, all in one process and in turns. Raises `Stopped`."""
    runners = {
        name: RUNTIMES[runtime](
            folder,
            batch_size=batch_size,
            device=job.device,
            threads=len(os.sched_getaffinity(0)),
            precision=job.precision,
        )
        for name, folder in folders.items()
    }
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
    return timed
