"""Figures that are easy to compare by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from service.comparisons.create import values_of
from service.comparisons.resolve import Resolved
from service.contract.benchmark import (
    BenchmarkedModel,
    BenchmarkResult,
    LatencyResult,
    ProcessResult,
    Runtime,
    SpeedupResult,
)
from service.contract.comparisons import (
    Comparison,
    ComparisonCreate,
    ComparisonLatency,
    ComparisonModel,
    ComparisonValues,
)
from service.contract.specs import JobKind, JobResult
from service.contract.training import Evaluation
from service.evidence import Evidence, FinishedJob, read
from service.reports.comparison import build_comparison
from service.store.tables import ModelRow
from tests.reports import samples

WHEN = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
TEACHER, STUDENT, SIMPLE = samples.TEACHER, samples.STUDENT, samples.SIMPLE
UPLOADED = "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G09"
FACTS = {
    one.model: one for one in (samples.TEACHER_FACTS, samples.STUDENT_FACTS, samples.SIMPLE_FACTS)
}


def job_id(letter: str) -> str:
    return f"job_01JD8Z6Q5T3V9X7B2C4D6F8G0{letter}"


def row(model: str, name: str, **fields: Any) -> ModelRow:
    given = {"form": "weights", "architecture": name, "metrics": {}, "labels": None, **fields}
    return ModelRow(id=model, name=name, **given)


ROWS = (
    row(TEACHER, "cnn_teacher"),
    row(STUDENT, "cnn_student"),
    row(SIMPLE, "cnn_simple"),
    row(UPLOADED, "uploaded", parameters=1000, macs=5000, size_bytes=4321),
)


def latency(p50_ms: float, runtime: Runtime = "eager", batch_size: int = 1) -> LatencyResult:
    return LatencyResult(
        runtime=runtime,
        batch_size=batch_size,
        precision="fp32",
        threads=2,
        p50_ms=p50_ms,
        p90_ms=p50_ms * 1.1,
        p95_ms=p50_ms * 1.2,
        p99_ms=p50_ms * 1.3,
        mean_ms=p50_ms,
        std_ms=0.0,
        variation=0.0,
        throughput_per_s=1000 / p50_ms,
    )


def measured(
    model: str,
    correct: int,
    *latencies: LatencyResult,
    speedup: float | None = None,
    test: Evaluation | None = None,
) -> BenchmarkedModel:
    """A row of a benchmark; ratios that comparisons do not read are one."""
    speedups: tuple[SpeedupResult, ...] = ()
    if speedup is not None:
        first = latencies[0]
        speedups = (
            SpeedupResult(
                runtime=first.runtime,
                batch_size=first.batch_size,
                precision="fp32",
                speedup=speedup,
                low=speedup - 0.5,
                high=speedup + 0.5,
            ),
        )
    process = ProcessResult(
        runtime="eager",
        precision="fp32",
        cold_start_s=0.25,
        peak_rss_bytes=300_000_000,
        libraries_rss_bytes=200_000_000,
        file_bytes=FACTS[model].size_bytes,
        max_abs_difference=0.0,
    )
    return BenchmarkedModel(
        facts=FACTS[model],
        test=test or samples.evaluation(correct),
        latencies=latencies,
        speedups=speedups,
        processes=(process,),
        compression_ratio=1,
        size_ratio=1,
        accuracy_retention=1,
        accuracy_change_points=0,
    )


def benchmark(
    *models: BenchmarkedModel, device: str = "Slow CPU", digest: str = "d" * 64
) -> BenchmarkResult:
    return BenchmarkResult(
        baseline=models[0].facts.model,
        models=models,
        data=samples.DATA.model_copy(update={"digest": digest}),
        environment=samples.ENVIRONMENT.model_copy(update={"device_name": device}),
        seed=0,
    )


def finished(
    letter: str, result: JobResult, kind: JobKind = "benchmark", minutes: int = 0
) -> FinishedJob:
    """`minutes` says how much later than the others it ended."""
    return FinishedJob(
        id=job_id(letter),
        kind=kind,
        name=None,
        finished_at=WHEN + timedelta(minutes=minutes),
        precision="auto",
        result=result,
    )


def without_pairs(result: JobResult) -> JobResult:
    """A result as it was before jobs measured their baseline beside what they made."""
    return result.model_copy(update={"comparison": None})


def compare(
    *jobs: FinishedJob,
    rows: tuple[ModelRow, ...] = ROWS[:2],
    named: tuple[str, ...] = (),
    sparse: dict[str, int] | None = None,
    **asked: Any,
) -> ComparisonValues:
    """What a comparison of `rows` makes of the results of `jobs`."""
    request = ComparisonCreate.model_validate({"models": [one.id for one in rows], **asked})
    resolved = Resolved(rows, request.baseline or rows[0].id, named, ())
    evidence = Evidence.joined(read(job) for job in jobs)
    return values_of(request, resolved, evidence, sparse or {})


def everything(student_name: str = "cnn_student", **asked: Any) -> Comparison:
    """Four models, one of them only uploaded; two devices, of which one saw two models."""
    cpu = benchmark(
        measured(TEACHER, 352, latency(4.0), latency(60.0, batch_size=32)),
        measured(STUDENT, 350, latency(0.5), latency(9.0, batch_size=32), speedup=8.0),
        measured(SIMPLE, 341, latency(0.8), latency(16.0, batch_size=32), speedup=5.0),
    )
    gpu = benchmark(
        measured(TEACHER, 352, latency(0.2)),
        measured(STUDENT, 350, latency(0.1), speedup=2.0),
        device="Fast GPU",
    )
    distilled = finished("C", without_pairs(samples.distill()[1]), "distill")
    rows = (ROWS[0], row(STUDENT, student_name), *ROWS[2:])
    values = compare(
        finished("A", cpu), finished("B", gpu), distilled, rows=rows, sparse={SIMPLE: 200_000},
        **asked,
    )  # fmt: skip
    return build_comparison(values, id="cmp_01JD8Z6Q5T3V9X7B2C4D6F8G0H", created_at=WHEN)


def model(values: ComparisonValues, model_id: str) -> ComparisonModel:
    return next(one for one in values.models if one.model == model_id)


def cell(
    values: ComparisonValues, model_id: str, device: str = "device-1", runtime: str = "eager"
) -> ComparisonLatency:
    """A latency at batch 1."""
    (found,) = (
        one
        for one in model(values, model_id).latencies
        if (one.device, one.runtime, one.batch_size) == (device, runtime, 1)
    )
    return found


def everything_bare() -> Comparison:
    """Two uploads that nobody has measured and whose files say nothing."""
    rows = tuple(row(one, "bare") for one in (TEACHER, STUDENT))
    values = compare(rows=rows)
    return build_comparison(values, id="cmp_01JD8Z6Q5T3V9X7B2C4D6F8G0H", created_at=WHEN)


def crowd(count: int) -> Comparison:
    """Models of which every other one is larger than the one before it, and worse."""
    ids = [f"mdl_01JD8Z6Q5T3V9X7B2C4D6F8H{number:02}" for number in range(count)]
    models = tuple(
        measured(TEACHER, 200 + 3 * number - 50 * (number % 2), latency(1.0)).model_copy(
            update={
                "facts": samples.facts(one, f"model {number}", "mlp", 1000 + number, 1000 + number)
            }
        )
        for number, one in enumerate(ids)
    )
    rows = tuple(row(one, "mlp") for one in ids)
    values = compare(finished("A", benchmark(*models)), rows=rows)
    return build_comparison(values, id="cmp_01JD8Z6Q5T3V9X7B2C4D6F8G0H", created_at=WHEN)
