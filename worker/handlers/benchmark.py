"""`benchmark`: spec -> engine -> result."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from service.contract.benchmark import (
    BenchmarkedModel,
    BenchmarkResult,
    BenchmarkSpec,
    LatencyResult,
    ProcessResult,
    Runtime,
    SkippedCell,
    SpeedupResult,
)
from worker.engine.data.split import Data
from worker.engine.device import Precision
from worker.engine.measure.conductor import Skipped, Timed, contest
from worker.engine.measure.contestant import Conditions, Entry, engine_error
from worker.engine.measure.latency import Latency, speedup
from worker.handlers.before_after import retention
from worker.handlers.common import Job, Outcome, check_fits, data_facts, model_facts
from worker.handlers.latency_samples import quantiles_ms, write_samples
from worker.handlers.scored import Score, Scored
from worker.handlers.side_by_side import threads_here, timing_environment

_ABOUT_THREADS: Final = ("OMP_", "GOMP_", "MKL_", "KMP_", "OPENBLAS_", "MALLOC_")


@dataclass(frozen=True)
class _Measured:
    """What one contest found of one model. `baseline` is the first model's in the same runtime,
    `first` the first model's in the first runtime; all three took turns."""

    timed: Timed
    baseline: Timed | None
    first: Timed | None

    @property
    def runtime(self) -> Runtime:
        return cast("Runtime", self.timed.entry.runtime)


def benchmark(job: Job, spec: BenchmarkSpec) -> Outcome:
    """Score every model, then time all of them in turns, one runtime and precision at a time."""
    data = job.data(spec.dataset)
    threads = spec.threads or threads_here()
    conditions = Conditions(job.device, threads, timing_environment())
    scores = _scores(job, spec, data)
    scored = Scored.of(data.test, job.folder)
    with job.alone():
        measured, skipped = _measure(job, spec, conditions, scored.file)
    result = BenchmarkResult(
        baseline=scores[spec.models[0]].facts.model,
        models=tuple(
            _row(spec, name, scores, scored, measured, skipped, threads) for name in spec.models
        ),
        data=data_facts(spec.dataset, data),
        environment=job.environment().model_copy(update={"threads": threads}),
        timing_environment={
            name: value
            for name, value in sorted(conditions.environment.items())
            if name.startswith(_ABOUT_THREADS)
        },
        seed=spec.seed,
        warnings=_warnings(measured, scores),
    )
    timed = [(scores[one.timed.entry.name].facts.model, one.timed) for one in measured]
    return Outcome(result, labels=data.labels, files=(write_samples(job.folder, timed),))


def _scores(job: Job, spec: BenchmarkSpec, data: Data) -> dict[str, Score]:
    job.observer.on_phase("evaluating")
    scores: dict[str, Score] = {}
    for reference in spec.models:
        source = job.input(reference)
        loaded = job.load(reference)
        check_fits(loaded.config, data)
        test, logits = job.evaluate(loaded, data.test)
        facts = model_facts(loaded, job.folder / source.folder, source.id, source.name)
        scores[reference] = Score(facts, test, logits.argmax(1))
    return scores


def _measure(
    job: Job, spec: BenchmarkSpec, conditions: Conditions, inputs: Path
) -> tuple[list[_Measured], list[Skipped]]:
    """One contest for each runtime and precision; in each the very first process runs too."""
    job.observer.on_phase("measuring")
    precisions: tuple[Precision, ...] = spec.precisions or (job.precision,)
    combinations = [(runtime, precision) for precision in precisions for runtime in spec.runtimes]
    total = len(combinations) * len(spec.batch_sizes) * spec.blocks
    done = 0

    def on_block() -> None:
        nonlocal done
        done += 1
        job.observer.on_step(done, total, {})

    def entry(reference: str, runtime: str, precision: Precision) -> Entry:
        return Entry(reference, job.folder / job.input(reference).folder, runtime, precision)

    first = entry(spec.models[0], *combinations[0])
    measured: dict[tuple[str, str, str], _Measured] = {}
    skipped: list[Skipped] = []
    for runtime, precision in combinations:
        entries = [entry(reference, runtime, precision) for reference in spec.models]
        timed, left_out = contest(
            entries if first in entries else [first, *entries],
            conditions,
            batch_sizes=spec.batch_sizes,
            warmup_s=spec.warmup_s,
            blocks=spec.blocks,
            block_s=spec.block_s,
            executions=spec.executions,
            inputs=inputs,
            should_stop=job.observer.should_stop,
            on_block=on_block,
        )
        skipped += [one for one in left_out if one.entry in entries]
        found = {one.entry: one for one in timed}
        for one in entries:
            if one in found:
                # A runtime may run another precision than it was asked for, and so the same twice.
                key = (one.name, runtime, found[one].facts.precision)
                pair = _Measured(found[one], found.get(entries[0]), found.get(first))
                measured.setdefault(key, pair)
    if not measured:
        raise engine_error(skipped[0].code, skipped[0].reason)
    return list(measured.values()), skipped


def _row(
    spec: BenchmarkSpec,
    reference: str,
    scores: Mapping[str, Score],
    scored: Scored,
    measured: list[_Measured],
    skipped: list[Skipped],
    threads: int,
) -> BenchmarkedModel:
    score, base = scores[reference], scores[spec.models[0]]
    facts, test = score.facts, score.test
    mine = [one for one in measured if one.timed.entry.name == reference]
    cells = [(one, size) for one in mine for size in spec.batch_sizes]
    return BenchmarkedModel(
        facts=facts,
        test=test,
        latencies=tuple(_latency(one, size, threads) for one, size in cells),
        speedups=tuple(
            _speedup(one, one.baseline, size, spec.seed)
            for one, size in cells
            if one.baseline not in (None, one.timed)
        ),
        runtime_speedups=tuple(
            _speedup(one, one.first, size, spec.seed)
            for one, size in cells
            if one.first not in (None, one.timed)
        ),
        processes=tuple(
            ProcessResult(
                runtime=one.runtime,
                **vars(one.timed.facts),
                **scored.judged(one.timed.classes, score),
            )
            for one in mine
        ),
        skipped=tuple(
            SkippedCell(
                runtime=cast("Runtime", one.entry.runtime), code=one.code, reason=one.reason
            )
            for one in skipped
            if one.entry.name == reference
        ),
        compression_ratio=base.facts.parameters / facts.parameters,
        size_ratio=facts.size_bytes / base.facts.size_bytes,
        accuracy_retention=retention(test.accuracy, base.test.accuracy),
        accuracy_change_points=100 * (test.accuracy - base.test.accuracy),
    )


def _warnings(measured: list[_Measured], scores: Mapping[str, Score]) -> tuple[str, ...]:
    return tuple(
        f"{scores[one.timed.entry.name].facts.name} in {one.runtime}, batch {size}: the warm-up "
        "came to no rest, so its latencies may still fall or rise."
        for one in measured
        for size in one.timed.unsettled
    )


def _latency(one: _Measured, batch_size: int, threads: int) -> LatencyResult:
    latency: Latency = one.timed.latencies[batch_size]
    energy = one.timed.energies.get(batch_size)
    return LatencyResult(
        runtime=one.runtime,
        batch_size=batch_size,
        precision=one.timed.facts.precision,
        threads=threads,
        p50_ms=latency.p50_ms,
        p90_ms=latency.p90_ms,
        p95_ms=latency.p95_ms,
        p99_ms=latency.p99_ms,
        mean_ms=latency.mean_ms,
        std_ms=latency.std_ms,
        variation=latency.cv,
        throughput_per_s=batch_size / latency.p50_ms * 1e3,
        quantiles_ms=quantiles_ms(latency),
        energy_mj_per_input=None if energy is None else energy.mj_per_input,
        energy_source=None if energy is None else energy.source,
    )


def _speedup(one: _Measured, base: Timed | None, batch_size: int, seed: int) -> SpeedupResult:
    assert base is not None
    ratio = speedup(base.latencies[batch_size], one.timed.latencies[batch_size], seed)
    return SpeedupResult(
        runtime=one.runtime,
        batch_size=batch_size,
        precision=one.timed.facts.precision,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
    )
