"""`benchmark`: spec -> engine -> result."""

import os
from collections.abc import Mapping

from service.contract.benchmark import (
    BenchmarkedModel,
    BenchmarkResult,
    BenchmarkSpec,
    LatencyResult,
    Runtime,
    SpeedupResult,
)
from service.contract.training import Evaluation, ModelFacts
from worker.engine.device import synchronizer
from worker.engine.errors import Stopped
from worker.engine.measure.latency import Latency, measure_interleaved, speedup
from worker.engine.measure.runtimes import RUNTIMES, Runner
from worker.handlers.common import Job, Outcome, check_fits, data_facts, model_facts
from worker.handlers.distill import retention

Cell = tuple[str, Runtime, int]  # model reference, runtime, batch size


def benchmark(job: Job, spec: BenchmarkSpec) -> Outcome:
    """Score every model, then time all of them in turns, one runtime and batch size at a time."""
    data = job.data(spec.dataset)
    threads = spec.threads or len(os.sched_getaffinity(0))
    scores: dict[str, tuple[ModelFacts, Evaluation]] = {}
    job.observer.on_phase("evaluating")
    for reference in spec.models:
        source = job.input(reference)
        loaded = job.load(reference)
        check_fits(loaded.config, data)
        test, _ = job.evaluate(loaded, data.test)
        facts = model_facts(loaded, job.folder / source.folder, source.id, source.name)
        scores[reference] = (facts, test)
    timed, ran_in = _measure(job, spec, threads)
    rows = tuple(_row(spec, reference, scores, timed, ran_in, threads) for reference in spec.models)
    result = BenchmarkResult(
        baseline=scores[spec.models[0]][0].model,
        models=rows,
        data=data_facts(spec.dataset, data),
        environment=job.environment().model_copy(update={"threads": threads}),
        seed=spec.seed,
    )
    return Outcome(result, labels=data.labels)


def _measure(
    job: Job, spec: BenchmarkSpec, threads: int
) -> tuple[dict[Cell, Latency], dict[Cell, str]]:
    job.observer.on_phase("measuring")
    timed: dict[Cell, Latency] = {}
    ran_in: dict[Cell, str] = {}
    combinations = [(runtime, size) for runtime in spec.runtimes for size in spec.batch_sizes]
    for done, (runtime, batch_size) in enumerate(combinations):
        job.observer.on_step(done, len(combinations), {})
        runners: dict[str, Runner] = {
            reference: RUNTIMES[runtime](
                job.folder / job.input(reference).folder,
                batch_size=batch_size,
                device=job.device,
                threads=threads,
                precision=job.precision,
            )
            for reference in spec.models
        }
        latencies = measure_interleaved(
            runners,
            warmup_s=spec.warmup_s,
            blocks=spec.blocks,
            block_s=spec.block_s,
            synchronize=synchronizer(job.device),
            should_stop=job.observer.should_stop,
        )
        if job.observer.should_stop():  # half a measurement is none; it starts over
            raise Stopped
        for reference, latency in latencies.items():
            timed[reference, runtime, batch_size] = latency
            ran_in[reference, runtime, batch_size] = runners[reference].precision
    job.observer.on_step(len(combinations), len(combinations), {})
    return timed, ran_in


def _row(
    spec: BenchmarkSpec,
    reference: str,
    scores: Mapping[str, tuple[ModelFacts, Evaluation]],
    timed: Mapping[Cell, Latency],
    ran_in: Mapping[Cell, str],
    threads: int,
) -> BenchmarkedModel:
    facts, test = scores[reference]
    first = spec.models[0]
    base_facts, base_test = scores[first]
    cells: list[Cell] = [(reference, r, b) for r in spec.runtimes for b in spec.batch_sizes]
    return BenchmarkedModel(
        facts=facts,
        test=test,
        latencies=tuple(_latency(cell, timed[cell], ran_in[cell], threads) for cell in cells),
        speedups=()
        if reference == first
        else tuple(
            _speedup(cell, timed[first, *cell[1:]], timed[cell], spec.seed) for cell in cells
        ),
        compression_ratio=base_facts.parameters / facts.parameters,
        size_ratio=facts.size_bytes / base_facts.size_bytes,
        accuracy_retention=retention(test.accuracy, base_test.accuracy),
        accuracy_change_points=100 * (test.accuracy - base_test.accuracy),
    )


def _latency(cell: Cell, latency: Latency, precision: str, threads: int) -> LatencyResult:
    _, runtime, batch_size = cell
    return LatencyResult(
        runtime=runtime,
        batch_size=batch_size,
        precision=precision,
        threads=threads,
        p50_ms=latency.p50_ms,
        p90_ms=latency.p90_ms,
        p95_ms=latency.p95_ms,
        p99_ms=latency.p99_ms,
        mean_ms=latency.mean_ms,
        std_ms=latency.std_ms,
        variation=latency.cv,
        throughput_per_s=batch_size / latency.p50_ms * 1e3,
        samples_ms=latency.samples_ms,
    )


def _speedup(cell: Cell, baseline: Latency, latency: Latency, seed: int) -> SpeedupResult:
    _, runtime, batch_size = cell
    ratio = speedup(baseline, latency, seed)
    return SpeedupResult(
        runtime=runtime,
        batch_size=batch_size,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
    )
