"""A comparison of a baseline with what was made of it, built by hand."""

from service.contract.before_after import BeforeAfter, ComparedLatency, ComparedModel
from service.contract.benchmark import ProcessResult, Runtime
from service.contract.training import Evaluation, ModelFacts, ReliabilityBin

RELIABILITY = tuple(
    ReliabilityBin(samples=samples, confidence=confidence, accuracy=accuracy)
    for samples, confidence, accuracy in (
        (6, 0.42, 0.5),
        (14, 0.63, 0.5714),
        (40, 0.88, 0.9),
        (300, 0.99, 0.9967),
    )
)


def process(runtime: Runtime, model_bytes: int) -> ProcessResult:
    return ProcessResult(
        runtime=runtime,
        precision="fp32",
        cold_start_s=0.04 + model_bytes / 1e9,
        peak_rss_bytes=400_000_000 + 4 * model_bytes,
        libraries_rss_bytes=390_000_000,
        peak_device_bytes=None,
        file_bytes=model_bytes,
        max_abs_difference=0.0,
    )


def timed(
    batch_size: int, before_ms: float, speedup: float, before: Runtime, after: Runtime
) -> ComparedLatency:
    return ComparedLatency(
        batch_size=batch_size,
        runtime=after,
        precision="fp32",
        baseline_runtime=before,
        baseline_precision="fp32",
        threads=2,
        baseline_p50_ms=before_ms,
        compressed_p50_ms=before_ms / speedup,
        speedup=speedup,
        low=speedup - 0.1,
        high=speedup + 0.1,
    )


def before_after(
    before: tuple[ModelFacts, Evaluation],
    after: tuple[ModelFacts, Evaluation],
    *latencies: ComparedLatency,
    stored_bytes: int | None = None,
) -> BeforeAfter:
    (was, was_test), (now, now_test) = before, after
    stored = stored_bytes or now.size_bytes
    before_runtime = latencies[0].baseline_runtime if latencies else "eager"
    after_runtime = latencies[0].runtime if latencies else "eager"
    sides = [process(before_runtime, was.size_bytes), process(after_runtime, stored)]
    return BeforeAfter(
        baseline=ComparedModel(
            facts=was, stored_bytes=was.size_bytes, test=was_test, process=sides[0]
        ),
        compressed=ComparedModel(facts=now, stored_bytes=stored, test=now_test, process=sides[1]),
        compression_ratio=was.parameters / now.parameters,
        nonzero_compression_ratio=was.nonzero_parameters / now.nonzero_parameters,
        macs_ratio=was.macs / now.macs if was.macs and now.macs else None,
        size_ratio=stored / was.size_bytes,
        accuracy_retention=now_test.accuracy / was_test.accuracy,
        accuracy_change_points=100 * (now_test.accuracy - was_test.accuracy),
        class_change_points=(0.0, -1.2, 0.0, 0.8, 0.0, -0.4, 0.0, 0.0, None, -2.0),
        loss_change=now_test.loss - was_test.loss,
        agreement=0.9833,
        latencies=latencies,
        memory_ratio=sides[1].peak_rss_bytes / sides[0].peak_rss_bytes,
    )
