"""From the result of one job to what it says of each model."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from service.contract.benchmark import BenchmarkedModel, BenchmarkResult, PairedSpeedup
from service.contract.distill import DistillResult
from service.contract.prune_result import PruneResult
from service.contract.quantize_result import QuantizeResult
from service.contract.specs import JobKind, JobResult
from service.contract.training import DataFacts, Environment, Evaluation, ModelFacts
from service.evidence.values import (
    Agreement,
    Evidence,
    Place,
    Process,
    Ratio,
    Run,
    Score,
    Setting,
    Timing,
)


@dataclass(frozen=True)
class FinishedJob:
    """A job that succeeded. `precision` is as in its spec."""

    id: str
    kind: JobKind
    name: str | None
    finished_at: datetime
    precision: str
    result: JobResult


def read(job: FinishedJob) -> Evidence:
    """What a job says of the models it read and made. A dry run measured nothing."""
    result = job.result
    match result.kind:
        case "train":
            return _evidence(job, result.environment, result.data, [(result.facts, result.test)])
        case "distill":
            return _distilled(job, result)
        case "prune":
            return _pruned(job, result)
        case "quantize":
            return _quantized(job, result)
        case "benchmark":
            return _benchmarked(job, result)
        case "export":
            return _evidence(job, result.environment, result.data, [(result.source, None)])
        case "plan":
            return Evidence()
        case _:
            assert_never(result)


def _evidence(
    job: FinishedJob,
    environment: Environment,
    data: DataFacts | None,
    scored: Iterable[tuple[ModelFacts, Evaluation | None]],
    *,
    timings: Iterable[Timing] = (),
    ratios: Iterable[Ratio] = (),
    processes: Iterable[Process] = (),
    agreed: tuple[str, str, float] | None = None,
) -> Evidence:
    models = list(scored)
    run = Run(
        job.id,
        job.kind,
        job.name,
        job.finished_at,
        environment.device_name,
        data,
        environment.libraries,
    )
    agreements: tuple[Agreement, ...] = ()
    if agreed is not None and data is not None:
        agreements = (Agreement(frozenset(agreed[:2]), job.id, data, agreed[2]),)
    return Evidence(
        runs={job.id: run},
        facts={facts.model: facts for facts, _ in models},
        scores=tuple(
            Score(facts.model, job.id, data, test)
            for facts, test in models
            if test is not None and data is not None
        ),
        timings=tuple(timings),
        ratios=tuple(ratios),
        processes=tuple(processes),
        agreements=agreements,
    )


def _distilled(job: FinishedJob, result: DistillResult) -> Evidence:
    teachers = [(one.facts, one.test) for one in result.teachers]
    agreed = None
    if not teachers:  # of several teachers, `teacher_test` and `agreement` are of all together
        teachers = [(result.teacher, result.teacher_test)]
        agreed = (result.model, result.teacher.model, result.agreement)
    scored = [(result.facts, result.test), *teachers]
    return _evidence(job, result.environment, result.data, scored, agreed=agreed)


def _pruned(job: FinishedJob, result: PruneResult) -> Evidence:
    timed = [(one, one.original_p50_ms, one.pruned_p50_ms) for one in result.latencies]
    timings, ratios = _pairs(job, result.environment, "eager", result.original, result.facts, timed)
    scored = [(result.facts, result.test), (result.original, result.original_test)]
    return _evidence(job, result.environment, result.data, scored, timings=timings, ratios=ratios)


def _quantized(job: FinishedJob, result: QuantizeResult) -> Evidence:
    timed = [(one, one.float_p50_ms, one.quantized_p50_ms) for one in result.latencies]
    timings, ratios = _pairs(
        job, result.environment, "onnxruntime", result.original, result.facts, timed
    )
    return _evidence(
        job,
        result.environment,
        result.data,
        [(result.facts, result.test), (result.original, result.original_test)],
        timings=timings,
        ratios=ratios,
        agreed=(result.model, result.original.model, result.agreement),
    )


def _pairs(
    job: FinishedJob,
    environment: Environment,
    runtime: str,
    before: ModelFacts,
    after: ModelFacts,
    timed: Iterable[tuple[PairedSpeedup, float, float]],
) -> tuple[list[Timing], list[Ratio]]:
    """Two models that a job timed in turns: (ratio, median before, median after)."""
    # A job that trains names the arithmetic of its training; it times in this one.
    precision = environment.precision if job.precision == "auto" else job.precision
    if (job.precision == "auto" and environment.device == "cpu") or runtime == "onnxruntime":
        precision = "fp32"
    place = Place(environment.device, environment.device_name, environment.cpu_count)
    timings, ratios = [], []
    for one, p50_before, p50_after in timed:
        setting = Setting(runtime, one.batch_size, precision)
        timings.append(Timing(before.model, job.id, place, setting, p50_before))
        timings.append(Timing(after.model, job.id, place, setting, p50_after))
        speed = (one.speedup, one.low, one.high)
        ratios.append(Ratio(after.model, before.model, job.id, place, setting, *speed))
    return timings, ratios


def _benchmarked(job: FinishedJob, result: BenchmarkResult) -> Evidence:
    here = result.environment
    place = Place(here.device, here.device_name, here.threads)
    return _evidence(
        job,
        here,
        result.data,
        [(one.facts, one.test) for one in result.models],
        timings=(
            Timing(
                model.facts.model,
                job.id,
                Place(here.device, here.device_name, one.threads),
                Setting(one.runtime, one.batch_size, one.precision),
                one.p50_ms,
                one.p95_ms,
                one.variation,
            )
            for model in result.models
            for one in model.latencies
        ),
        ratios=(ratio for model in result.models for ratio in _ratios(job, result, place, model)),
        processes=(
            Process(
                model.facts.model,
                job.id,
                place,
                one.runtime,
                one.precision,
                one.cold_start_s,
                one.peak_rss_bytes,
                one.libraries_rss_bytes,
                one.peak_device_bytes,
            )
            for model in result.models
            for one in model.processes
        ),
    )


def _ratios(
    job: FinishedJob, result: BenchmarkResult, place: Place, model: BenchmarkedModel
) -> Iterable[Ratio]:
    """The model against the first one of the benchmark, in the same runtime."""
    if model.facts.model == result.baseline:  # its ratios are of one precision to another
        return
    # Older results do not say the precision of a ratio: there was one for a runtime.
    ran = {(one.runtime, one.batch_size): one.precision for one in reversed(model.latencies)}
    for one in model.speedups:
        precision = one.precision or ran.get((one.runtime, one.batch_size), "fp32")
        setting = Setting(one.runtime, one.batch_size, precision)
        speed = (one.speedup, one.low, one.high)
        yield Ratio(model.facts.model, result.baseline, job.id, place, setting, *speed)
