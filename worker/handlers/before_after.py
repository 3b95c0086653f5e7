"""Baseline against compressed: what every compressing job measures in the end, on saved files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from service.contract.before_after import BeforeAfter, ComparedLatency, ComparedModel
from service.contract.benchmark import ProcessResult, Runtime
from service.contract.training import Evaluation, ModelFacts
from worker.engine.measure.conductor import contest
from worker.engine.measure.contestant import Conditions, Entry
from worker.engine.measure.latency import speedup
from worker.engine.measure.size import smallest_bytes
from worker.engine.train.evaluate import agreement
from worker.handlers.common import Job
from worker.handlers.side_by_side import Saved, Timed, in_turns, threads_here, timing_environment

_BASELINE, _COMPRESSED = "baseline", "compressed"


@dataclass(frozen=True)
class Judged:
    """One of the two, as it was saved."""

    saved: Saved
    facts: ModelFacts
    test: Evaluation
    test_logits: Tensor

    def compared(self, process: ProcessResult | None) -> ComparedModel:
        """What the result tells of it."""
        stored = smallest_bytes(self.saved.folder)
        return ComparedModel(facts=self.facts, stored_bytes=stored, test=self.test, process=process)


def before_after(
    job: Job,
    baseline: Judged,
    compressed: Judged,
    latencies: Sequence[ComparedLatency],
    warnings: list[str],
) -> BeforeAfter:
    """Every ratio of the two. Where something was timed, each gets a process of its own as well,
    for its memory; `warnings` takes why one could not be measured."""
    processes = _processes(job, baseline, compressed, latencies, warnings)
    before = baseline.compared(processes.get(_BASELINE))
    after = compressed.compared(processes.get(_COMPRESSED))
    was, now = before.facts, after.facts
    return BeforeAfter(
        baseline=before,
        compressed=after,
        compression_ratio=_ratio(was.parameters, now.parameters),
        nonzero_compression_ratio=_ratio(was.nonzero_parameters, now.nonzero_parameters),
        macs_ratio=was.macs / now.macs if was.macs and now.macs else None,
        size_ratio=after.stored_bytes / before.stored_bytes,
        accuracy_retention=retention(after.test.accuracy, before.test.accuracy),
        accuracy_change_points=100 * (after.test.accuracy - before.test.accuracy),
        class_change_points=_class_changes(after.test, before.test),
        loss_change=after.test.loss - before.test.loss,
        agreement=agreement(compressed.test_logits, baseline.test_logits),
        latencies=tuple(latencies),
        memory_ratio=None
        if before.process is None or after.process is None
        else after.process.peak_rss_bytes / before.process.peak_rss_bytes,
    )


def paired(
    job: Job, baseline: Saved, compressed: Saved, batch_sizes: Sequence[int]
) -> tuple[ComparedLatency, ...]:
    """Both in turns, once for each batch size. Raises `Stopped`."""
    if batch_sizes:
        job.observer.on_phase("measuring")
    rows = []
    for size in batch_sizes:
        timed = in_turns(job, {_BASELINE: baseline, _COMPRESSED: compressed}, size)
        rows.append(pair_of(timed[_BASELINE], timed[_COMPRESSED], size, job.spec.seed))
    return tuple(rows)


def pair_of(baseline: Timed, compressed: Timed, batch_size: int, seed: int) -> ComparedLatency:
    """Two that took turns in one measurement."""
    ratio = speedup(baseline.latency, compressed.latency, seed)
    return ComparedLatency(
        batch_size=batch_size,
        runtime=compressed.saved.runtime,
        precision=compressed.precision,
        baseline_runtime=baseline.saved.runtime,
        baseline_precision=baseline.precision,
        threads=threads_here(),
        baseline_p50_ms=baseline.latency.p50_ms,
        compressed_p50_ms=compressed.latency.p50_ms,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
    )


def retention(accuracy: float, baseline: float) -> float:
    """accuracy ÷ baseline; 0 for a baseline that gets nothing right, where it is undefined."""
    return accuracy / baseline if baseline else 0.0


def _ratio(baseline: int, compressed: int) -> float:
    """Of counts; a model with nothing in it counts for one."""
    return max(baseline, 1) / max(compressed, 1)


def _class_changes(now: Evaluation, was: Evaluation) -> tuple[float | None, ...]:
    return tuple(
        None if before is None or after is None else 100 * (after - before)
        for before, after in zip(was.per_class_accuracy, now.per_class_accuracy, strict=True)
    )


def _processes(
    job: Job,
    baseline: Judged,
    compressed: Judged,
    latencies: Sequence[ComparedLatency],
    warnings: list[str],
) -> dict[str, ProcessResult]:
    """Start each in a fresh process that answers the first batch size."""
    if not latencies:
        return {}
    job.observer.on_phase("measuring memory")
    entries = [
        Entry(name, one.saved.folder, one.saved.runtime, job.precision)
        for name, one in ((_BASELINE, baseline), (_COMPRESSED, compressed))
    ]
    with job.alone():  # cold starts are timed
        timed, skipped = contest(
            entries,
            Conditions(job.device, threads_here(), timing_environment()),
            batch_sizes=(latencies[0].batch_size,),
            warmup_s=0,
            blocks=1,
            block_s=0,  # memory and cold start are wanted; the pair was timed already
            should_stop=job.observer.should_stop,
        )
    warnings += [f"Memory: the {one.entry.name} was not measured: {one.reason}" for one in skipped]
    return {
        one.entry.name: ProcessResult(runtime=cast("Runtime", one.entry.runtime), **vars(one.facts))
        for one in timed
    }
