"""Original and pruned, timed side by side on their saved files."""

from collections.abc import Sequence
from pathlib import Path

from service.contract.prune import PruneSpec
from service.contract.prune_result import PairedLatency
from worker.engine.measure.latency import speedup
from worker.handlers.common import Job
from worker.handlers.side_by_side import side_by_side
from worker.handlers.trained import MODEL


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
