"""Results as the engine makes them, built by hand, with figures that are easy to check."""

from datetime import UTC, datetime
from random import Random

from service.contract.benchmark import (
    BenchmarkedModel,
    BenchmarkResult,
    BenchmarkSpec,
    LatencyResult,
    Runtime,
    SpeedupResult,
)
from service.contract.catalog import ArchitectureSpec
from service.contract.distill import DistillResult, DistillSpec
from service.contract.losses import KdLoss
from service.contract.reports import Report
from service.contract.specs import JobResult, JobSpec, PlannedModel, PlanResult
from service.contract.train import TrainResult, TrainSpec
from service.contract.training import (
    DataFacts,
    Environment,
    EpochRecord,
    Evaluation,
    ModelFacts,
    TrainingSpec,
)
from service.reports.build import build_report
from tests.reports.before_after_sample import RELIABILITY, before_after, timed

JOB = "job_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
TEACHER = "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G01"
STUDENT = "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G02"
SIMPLE = "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G03"
HOSTILE = '<script>alert("1")</script>|`x`\' & <b>'

DATA = DataFacts(
    dataset="digits", digest="d" * 64, train=1294, validation=143, test=360, classes=10
)
ENVIRONMENT = Environment(
    device="cpu",
    device_name="AMD EPYC 9B14",
    precision="fp32",
    threads=2,
    cpu_count=2,
    platform="Linux x86_64",
    python="3.11.9",
    libraries={"torch": "2.14.1", "onnxruntime": "1.32.0"},
)


def facts(model: str, name: str, architecture: str, parameters: int, macs: int) -> ModelFacts:
    return ModelFacts(
        model=model,
        name=name,
        architecture=architecture,
        classes=10,
        input_size=(3, 32, 32),
        parameters=parameters,
        nonzero_parameters=parameters,
        macs=macs,
        size_bytes=parameters * 4 + 1200,
        sha256="a" * 64,
    )


def evaluation(correct: int, *, samples: int = 360, loss: float = 0.081) -> Evaluation:
    share = correct / samples
    return Evaluation(
        samples=samples,
        correct=correct,
        accuracy=share,
        loss=loss,
        per_class_accuracy=(1.0, 0.9722, share, share, 0.95, 0.9167, 1.0, 0.9444, None, 0.8889),
        calibration_error=0.0123,
        reliability=RELIABILITY,
    )


def history(epochs: int, *, distilled: bool) -> tuple[EpochRecord, ...]:
    records = []
    for epoch in range(1, epochs + 1):
        hard, soft = 2.2 / epoch + 0.02, 5.4 / epoch**1.2 + 0.11
        terms = {"hard": hard, "soft": soft}
        records.append(
            EpochRecord(
                epoch=epoch,
                losses={"total": 0.3 * hard + 0.7 * soft, **terms}
                if distilled
                else {"total": hard},
                train_accuracy=1 - 0.8 / epoch**1.5,
                validation_accuracy=0.972 - 0.7 / epoch**1.4,
                validation_loss=1.9 / epoch + 0.08,
                learning_rate=1e-3,
                images_per_s=2412.5,
            )
        )
    return tuple(records)


TEACHER_FACTS = facts(TEACHER, "cnn_teacher", "cnn_teacher", 1_412_682, 153_418_752)
STUDENT_FACTS = facts(STUDENT, "cnn_student", "cnn_student", 148_330, 16_359_040)
SIMPLE_FACTS = facts(SIMPLE, "cnn_simple", "cnn_simple", 102_154, 24_128_896)


def train(name: str | None = None, epochs: int = 30) -> tuple[TrainSpec, TrainResult]:
    spec = TrainSpec(
        name=name,
        model=ArchitectureSpec(architecture="cnn_teacher"),
        dataset="digits",
        training=TrainingSpec(epochs=epochs),
    )
    result = TrainResult(
        model=TEACHER,
        facts=TEACHER_FACTS,
        history=history(epochs, distilled=False),
        best_epoch=max(1, epochs - 3),
        steps=epochs * 11,
        training_s=31.24,
        images_per_s=1242.0,
        validation=evaluation(352),
        test=evaluation(352),
        data=DATA,
        environment=ENVIRONMENT,
        seed=0,
    )
    return spec, result


def distill(student_name: str = "cnn_student") -> tuple[DistillSpec, DistillResult]:
    spec = DistillSpec(
        teacher=TEACHER,
        student=ArchitectureSpec(architecture="cnn_student"),
        dataset="digits",
        loss=KdLoss(alpha=0.3),
        training=TrainingSpec(),
    )
    student = STUDENT_FACTS.model_copy(update={"name": student_name})
    result = DistillResult(
        model=STUDENT,
        facts=student,
        history=history(30, distilled=True),
        best_epoch=27,
        steps=330,
        training_s=9.4,
        images_per_s=4120.0,
        validation=evaluation(350),
        test=evaluation(350, loss=0.094),
        data=DATA,
        environment=ENVIRONMENT,
        seed=0,
        teacher=TEACHER_FACTS,
        teacher_test=evaluation(352),
        compression_ratio=1_412_682 / 148_330,
        accuracy_retention=350 / 352,
        accuracy_change_points=100 * (350 - 352) / 360,
        agreement=0.9833,
        comparison=before_after(
            (TEACHER_FACTS, evaluation(352)),
            (student, evaluation(350, loss=0.094)),
            timed(1, 4.2, 2.1, "eager", "eager"),
            timed(32, 61.0, 3.4, "eager", "eager"),
        ),
    )
    return spec, result


def latency(runtime: Runtime, batch_size: int, p50_ms: float, *, noise: float) -> LatencyResult:
    random = Random(f"{runtime} {batch_size} {p50_ms}")
    samples = sorted(p50_ms * (1 + noise * random.expovariate(2) - noise / 3) for _ in range(400))
    return LatencyResult(
        runtime=runtime,
        batch_size=batch_size,
        precision="fp32",
        threads=2,
        p50_ms=p50_ms,
        p90_ms=samples[360],
        p95_ms=samples[380],
        p99_ms=samples[396],
        mean_ms=p50_ms * 1.02,
        std_ms=p50_ms * noise,
        variation=noise,
        throughput_per_s=1000 * batch_size / p50_ms,
        quantiles_ms=tuple(samples[min(399, 20 * step)] for step in range(21)),
    )


def benchmarked(model: ModelFacts, correct: int, speed: float) -> BenchmarkedModel:
    latencies = [
        latency("eager", 1, 4.21 / speed, noise=0.08),
        latency("eager", 32, 88.4 / speed**1.1, noise=0.05),
        latency("onnxruntime", 1, 1.93 / speed**0.9, noise=0.12),
        latency("onnxruntime", 32, 61.2 / speed, noise=0.04),
    ]
    return BenchmarkedModel(
        facts=model,
        test=evaluation(correct),
        latencies=tuple(latencies),
        speedups=tuple(
            SpeedupResult(
                runtime=one.runtime,
                batch_size=one.batch_size,
                speedup=speed + 0.2 * i,
                low=speed + 0.2 * i - 0.26,
                high=speed + 0.2 * i + 0.25,
            )
            for i, one in enumerate(latencies)
        ),
        compression_ratio=1_412_682 / model.parameters,
        size_ratio=model.size_bytes / TEACHER_FACTS.size_bytes,
        accuracy_retention=correct / 352,
        accuracy_change_points=100 * (correct - 352) / 360,
    )


def benchmark(*, alone: bool = False) -> tuple[BenchmarkSpec, BenchmarkResult]:
    models = [benchmarked(TEACHER_FACTS, 352, 1.0)]
    if not alone:
        models += [benchmarked(STUDENT_FACTS, 350, 7.36), benchmarked(SIMPLE_FACTS, 341, 5.02)]
    spec = BenchmarkSpec(
        models=tuple(model.facts.model for model in models),
        dataset="digits",
        runtimes=("eager", "onnxruntime"),
    )
    result = BenchmarkResult(
        baseline=TEACHER, models=tuple(models), data=DATA, environment=ENVIRONMENT, seed=0
    )
    return spec, result


def plan() -> tuple[TrainSpec, PlanResult]:
    spec, _ = train()
    planned = PlannedModel(
        role="model", architecture="cnn_teacher", parameters=1_412_682, macs=153_418_752
    )
    result = PlanResult(
        of="train", models=(planned,), steps=330, summary="Train cnn_teacher for 330 steps."
    )
    return spec.model_copy(update={"dry_run": True}), result


def report(made: tuple[JobSpec, JobResult]) -> Report:
    spec, result = made
    return build_report(
        spec,
        result,
        job_id=JOB,
        created_at=datetime(2026, 3, 4, 10, 0, tzinfo=UTC),
        finished_at=datetime(2026, 3, 4, 10, 1, 30, tzinfo=UTC),
    )
