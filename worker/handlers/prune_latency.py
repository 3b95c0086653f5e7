"""Original and pruned, timed side by side on their saved files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from service.contract.prune import PruneSpec
from service.contract.prune_result import PairedLatency
from worker.engine.device import synchronizer
from worker.engine.errors import Stopped
from worker.engine.measure.latency import Latency, measure_interleaved, speedup
from worker.engine.measure.runtimes import RUNTIMES
from worker.handlers.common import Job
from worker.handlers.trained import MODEL

_BLOCKS, _BLOCK_S = 8, 0.1


def paired(job: Job, spec: PruneSpec, batch_sizes: Sequence[int]) -> tuple[PairedLatency, ...]:
    """One pair for each batch size, if there is any."""
    job.observer.on_phase("measuring")
    original = job.folder / job.input(spec.model).folder
    return tuple(_pair(job, original, size, spec.seed) for size in batch_sizes)


def _pair(job: Job, original: Path, batch_size: int, seed: int) -> PairedLatency:
    timed = side_by_side(job, {"original": original, "pruned": job.folder / MODEL}, batch_size)
    ratio = speedup(timed["original"], timed["pruned"], seed)
    return PairedLatency(
        batch_size=batch_size,
        original_p50_ms=timed["original"].p50_ms,
        pruned_p50_ms=timed["pruned"].p50_ms,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
    )


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
