"""From the result of one job to what it says of each model."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from service.contract.before_after import BeforeAfter
from service.contract.benchmark import (
    BenchmarkedModel,
    BenchmarkResult,
    PairedSpeedup,
    ProcessResult,
)
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


@dataclass(frozen=True)
class _Timed:
    """What a job timed."""

    timings: tuple[Timing, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    processes: tuple[Process, ...] = ()


def _evidence(
    job: FinishedJob,
    environment: Environment,
    data: DataFacts | None,
    scored: Iterable[tuple[ModelFacts, Evaluation | None]],
    *,
    timed: _Timed = _Timed(),
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
        timings=timed.timings,
        ratios=timed.ratios,
        processes=timed.processes,
        agreements=agreements,
    )


def _distilled(job: FinishedJob, result: DistillResult) -> Evidence:
    teachers = [(one.facts, one.test) for one in result.teachers]
    agreed = None
    if not teachers:  # of several teachers, `teacher_test` and `agreement` are of all together
        teachers = [(result.teacher, result.teacher_test)]
        agreed = (result.model, result.teacher.model, result.agreement)
    scored = [(result.facts, result.test), *teachers]
    timed = _side_by_side(job, result.environment, result.comparison)
    return _evidence(job, result.environment, result.data, scored, timed=timed, agreed=agreed)


def _pruned(job: FinishedJob, result: PruneResult) -> Evidence:
    agreed = None
    if result.comparison is None:
        pairs = [(one, one.original_p50_ms, one.pruned_p50_ms) for one in result.latencies]
        timed = _pairs(job, result.environment, "eager", result.original, result.facts, pairs)
    else:
        timed = _side_by_side(job, result.environment, result.comparison)
        agreed = (result.model, result.original.model, result.comparison.agreement)
    scored = [(result.facts, result.test), (result.original, result.original_test)]
    return _evidence(job, result.environment, result.data, scored, timed=timed, agreed=agreed)


def _quantized(job: FinishedJob, result: QuantizeResult) -> Evidence:
    if result.comparison is None:
        pairs = [(one, one.float_p50_ms, one.quantized_p50_ms) for one in result.latencies]
        runtime = "onnxruntime"
        timed = _pairs(job, result.environment, runtime, result.original, result.facts, pairs)
    else:
        timed = _side_by_side(job, result.environment, result.comparison)
    agreed = (result.model, result.original.model, result.agreement)
    scored = [(result.facts, result.test), (result.original, result.original_test)]
    return _evidence(job, result.environment, result.data, scored, timed=timed, agreed=agreed)


def _side_by_side(
    job: FinishedJob, environment: Environment, compared: BeforeAfter | None
) -> _Timed:
    """What a job timed of its baseline and of the model it made. Their ratio counts where one
    runtime ran both."""
    if compared is None:
        return _Timed()
    before, after = compared.baseline.facts.model, compared.compressed.facts.model
    timings: dict[tuple[str, Setting], Timing] = {}
    ratios, place = [], Place(environment.device, environment.device_name, environment.cpu_count)
    for one in compared.latencies:
        place = Place(environment.device, environment.device_name, one.threads)
        was = Setting(one.baseline_runtime, one.batch_size, one.baseline_precision)
        now = Setting(one.runtime, one.batch_size, one.precision)
        for model, setting, p50_ms in (
            (before, was, one.baseline_p50_ms),
            (after, now, one.compressed_p50_ms),
        ):
            timings.setdefault((model, setting), Timing(model, job.id, place, setting, p50_ms))
        if one.runtime == one.baseline_runtime:
            speed = (one.speedup, one.low, one.high)
            ratios.append(Ratio(after, before, job.id, place, now, *speed))
    sides = (compared.baseline, compared.compressed)
    processes = (
        _process(job, place, side.facts.model, side.process) for side in sides if side.process
    )
    return _Timed(tuple(timings.values()), tuple(ratios), tuple(processes))


def _process(job: FinishedJob, place: Place, model: str, one: ProcessResult) -> Process:
    return Process(
        model,
        job.id,
        place,
        one.runtime,
        one.precision,
        one.cold_start_s,
        one.peak_rss_bytes,
        one.libraries_rss_bytes,
        one.peak_device_bytes,
    )


def _pairs(
    job: FinishedJob,
    environment: Environment,
    runtime: str,
    before: ModelFacts,
    after: ModelFacts,
    timed: Iterable[tuple[PairedSpeedup, float, float]],
) -> _Timed:
    """Two models in turns, as older results have it: (ratio, median before, after)."""
    # A job that trains names the arithmetic of its training; it timed in this one.
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
    return _Timed(tuple(timings), tuple(ratios))


def _benchmarked(job: FinishedJob, result: BenchmarkResult) -> Evidence:
    here = result.environment
    place = Place(here.device, here.device_name, here.threads)
    timings: list[Timing] = []
    ratios: list[Ratio] = []
    processes: list[Process] = []
    for model in result.models:
        name = model.facts.model
        for one in model.latencies:
            setting = Setting(one.runtime, one.batch_size, one.precision)
            at = Place(here.device, here.device_name, one.threads)
            figures = (one.p50_ms, one.p95_ms, one.variation)
            timings.append(Timing(name, job.id, at, setting, *figures))
        ratios += _ratios(job, result, place, model)
        processes += [_process(job, place, name, one) for one in model.processes]
    timed = _Timed(tuple(timings), tuple(ratios), tuple(processes))
    scored = [(one.facts, one.test) for one in result.models]
    return _evidence(job, here, result.data, scored, timed=timed)


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
