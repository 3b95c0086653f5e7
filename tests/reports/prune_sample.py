"""A pruning with every part of its result, built by hand."""

from service.contract.prune import PruneSpec
from service.contract.prune_result import (
    LayerResult,
    PairedLatency,
    PruneResult,
    SensitivityCurve,
    StageResult,
    StepResult,
    SweepPoint,
    TargetResult,
)
from tests.reports.before_after_sample import before_after, timed
from tests.reports.samples import (
    DATA,
    ENVIRONMENT,
    STUDENT,
    TEACHER,
    TEACHER_FACTS,
    evaluation,
    facts,
    history,
)

PRUNED = facts(STUDENT, "cnn_teacher-pruned", "cnn_teacher", 354_090, 38_993_152)


def prune() -> tuple[PruneSpec, PruneResult]:
    spec = PruneSpec.model_validate(
        {
            "kind": "prune",
            "model": TEACHER,
            "dataset": "digits",
            "method": {"name": "unstructured", "sparsity": 0.75},
            "schedule": {"name": "cubic", "steps": 2},
        }
    )
    result = PruneResult(
        model=STUDENT,
        facts=PRUNED,
        original=TEACHER_FACTS,
        amount=0.75,
        sparse_bytes=420_000,
        compression_ratio=1_412_682 / 354_090,
        nonzero_compression_ratio=1_412_682 / 354_090,
        macs_ratio=153_418_752 / 38_993_152,
        size_ratio=420_000 / TEACHER_FACTS.size_bytes,
        accuracy_retention=350 / 352,
        accuracy_change_points=100 * (350 - 352) / 360,
        class_change_points=(0.0, -1.2, 0.0, 0.0, 0.0, -0.4, 0.0, 0.0, None, -2.0),
        stages=tuple(
            StageResult(stage=name, validation_accuracy=correct / 360, test=evaluation(correct))
            for name, correct in (
                ("original", 352),
                ("cut", 201),
                ("recalibrated", 310),
                ("finetuned", 350),
            )
        ),
        steps=(
            StepResult(step=1, asked=0.65625, sparsity=0.6562, validation_accuracy=0.93),
            StepResult(step=2, asked=0.75, sparsity=0.75, validation_accuracy=0.97),
        ),
        layers=tuple(
            LayerResult(
                name=f"features.{number}.a_layer_of_a_rather_long_name",
                weights=4000,
                weights_after=4000,
                zeros=1000 * number,
                sparsity=number / 4,
                channels_before=64,
                channels_after=64 - 16 * number,
                macs=1_000_000,
                macs_after=250_000,
            )
            for number in range(3)
        ),
        latencies=(
            PairedLatency(
                batch_size=1, original_p50_ms=4.2, pruned_p50_ms=2.0, speedup=2.1, low=2.0, high=2.2
            ),
        ),
        sensitivity=(
            SensitivityCurve(layer="features.0", ratios=(0, 0.5), accuracies=(0.97, 0.31)),
            SensitivityCurve(layer="features.3", ratios=(0, 0.5), accuracies=(0.97, 0.94)),
        ),
        sweep=tuple(
            SweepPoint(
                amount=amount,
                validation_accuracy=0.97 - amount / 50,
                test_accuracy=0.97 - amount / 40,
                parameters=round(1_412_682 * (1 - amount)),
                macs=153_418_752,
                size_bytes=round(6e6 * (1 - amount)),
                p50_ms=2.0 + amount,
                is_kept=amount == 0.75,
            )
            for amount in (0.5, 0.75)
        ),
        targets=(TargetResult(name="parameters", asked=0.3, reached=0.2507),),
        history=history(3, distilled=True),
        best_epoch=3,
        training_s=12.3,
        validation=evaluation(350),
        test=evaluation(350),
        original_test=evaluation(352),
        data=DATA,
        environment=ENVIRONMENT,
        seed=0,
        comparison=before_after(
            (TEACHER_FACTS, evaluation(352)),
            (PRUNED, evaluation(350)),
            timed(1, 4.2, 2.1, "eager", "eager"),
            stored_bytes=420_000,
        ),
    )
    return spec, result


def smallest() -> tuple[PruneSpec, PruneResult]:
    """Nothing that a job may leave out."""
    spec, result = prune()
    empty = {"sparse_bytes": None, "macs_ratio": None, "best_epoch": None}
    none = dict.fromkeys(("latencies", "sensitivity", "sweep", "targets", "history"), ())
    untimed = before_after((TEACHER_FACTS, evaluation(352)), (PRUNED, evaluation(350)))
    fewer = {"stages": result.stages[:2], "steps": result.steps[:1]}
    return spec, result.model_copy(update={**empty, **none, **fewer, "comparison": untimed})
