"""What is recommended where jobs have measured something: that counts more than a rule."""

from dataclasses import replace
from typing import Any

import pytest

from service.evidence import Place, Timing
from service.recommend.create import recommendations_for
from tests.recommend.samples import (
    CPU,
    GPU,
    TEACHER,
    WITH_VNNI,
    by_method,
    outlook,
    past,
    pruned,
    subject,
    timing,
    workers,
)
from tests.reports import prune_sample, samples

NAMED = {"size_bytes": 700_000, "max_accuracy_drop_points": 1.0}


def distilled(**near: Any) -> Any:
    """cnn_student, taught by a cnn_teacher: 350 right in place of 352 of 360."""
    return past(samples.distill(), "distill", **near)


def test_what_was_made_of_this_model_and_keeps_the_targets_comes_first() -> None:
    best = recommendations_for(subject(targets=NAMED, pasts=(distilled(),)))[0]
    assert best.method == "distill:cnn_student"
    assert best.title == f"Take {samples.STUDENT}, which {samples.JOB} made"
    assert outlook(best) == {"size_bytes": "shown", "max_accuracy_drop_points": "shown"}
    change = best.expected.accuracy_change_points
    assert change is not None
    assert change.low == change.high == pytest.approx(100 * (350 - 352) / 360)
    assert (change.source.kind, change.source.ref) == ("job", samples.JOB)
    (spec,) = (spec.model_dump(exclude_unset=True) for spec in best.specs)
    assert spec["teacher"] == TEACHER


def test_what_was_made_of_its_architecture_is_likely_and_not_shown() -> None:
    one = by_method(subject(targets=NAMED, pasts=(distilled(near="architecture"),)))[
        "distill:cnn_student"
    ]
    assert outlook(one) == {"size_bytes": "likely", "max_accuracy_drop_points": "likely"}
    assert one.expected.accuracy_change_points is not None
    unknown = by_method(subject(targets=NAMED))["distill:cnn_student"]
    assert outlook(unknown)["max_accuracy_drop_points"] == "unknown"


def test_a_job_that_lost_too_much_speaks_against_its_method() -> None:
    strict = {"max_accuracy_drop_points": 0.1}
    found = by_method(subject(targets=strict, pasts=(distilled(),)))
    assert outlook(found["distill:cnn_student"]) == {"max_accuracy_drop_points": "unlikely"}


def test_a_speed_up_counts_on_devices_that_are_alive_only() -> None:
    asked: dict[str, float] = {"min_speedup": 1.5, "batch_size": 1}
    here = by_method(subject(targets=asked, pasts=(distilled(),)))["distill:cnn_student"]
    assert here.expected.speedup is not None
    assert CPU in here.expected.speedup.source.text
    away = by_method(subject(targets=asked, pasts=(distilled(),), can=workers(GPU)))
    assert away["distill:cnn_student"].expected.speedup is None
    assert outlook(away["distill:cnn_student"]) == {"min_speedup": "unknown"}


def on(device: str, *p50s_ms: float) -> tuple[Timing, ...]:
    """Medians of what a job made, in one runtime after another."""
    runtimes = ("eager", "onnxruntime")
    return tuple(
        timing(runtime, p50_ms, device=device)
        for runtime, p50_ms in zip(runtimes, p50s_ms, strict=False)
    )


@pytest.mark.parametrize(
    ("device", "latency"),
    [
        ("cuda", "0.500 ms"),  # where the job would run, whatever was read first
        ("cpu", "3.00 ms"),  # in the faster of two runtimes
        ("auto", "3.00 ms"),  # either may take it: what both keep
    ],
)
def test_a_latency_is_of_the_device_that_the_job_names(device: str, latency: str) -> None:
    done = distilled()
    made = replace(
        done,
        spec=done.spec.model_copy(update={"device": device}),
        timings=(*on(CPU, 4.0, 3.0), *on(GPU.device_name, 0.5)),
    )
    asked = subject(targets={"latency_ms": 5.0}, pasts=(made,), can=workers(WITH_VNNI, GPU))
    (target,) = by_method(asked)["distill:cnn_student"].targets
    assert target.text.startswith(latency)
    assert target.outlook == "shown"


def test_a_speed_up_is_the_least_of_the_devices_that_may_do_the_job() -> None:
    done = distilled()
    (here,) = (one for one in done.ratios if one.setting.batch_size == 1)
    there = replace(here, place=Place("cuda", GPU.device_name, 2), value=1.25)
    made = replace(done, ratios=(replace(here, value=4.0), there))
    asked = subject(targets={"min_speedup": 2.0}, pasts=(made,), can=workers(WITH_VNNI, GPU))
    speedup = by_method(asked)["distill:cnn_student"].expected.speedup
    assert speedup is not None
    assert speedup.low == speedup.high == 1.25


def test_a_scan_of_this_model_is_read_again_and_names_the_worst_layer() -> None:
    one = by_method(subject(targets={"macs": 0.5}, pasts=(pruned(scanned=True),)))["structured"]
    (spec,) = (spec.model_dump(exclude_unset=True) for spec in one.specs)
    assert spec["allocation"] == "adaptive"
    (scan,) = (item for item in one.evidence if item.kind == "sensitivity")
    assert scan.ref == samples.JOB
    assert scan.text.index("features.3 (25.0 %") < scan.text.index("features.7 (90.0 %")
    other = pruned(near="architecture", scanned=True)
    elsewhere = by_method(subject(targets={"macs": 0.5}, pasts=(other,)))["structured"]
    (spec,) = (spec.model_dump(exclude_unset=True) for spec in elsewhere.specs)
    assert "allocation" not in spec  # it would have to be scanned anew


def test_what_a_job_left_of_the_bytes_is_a_share_of_the_dense_file() -> None:
    spec, result = prune_sample.prune()
    assert result.comparison is not None
    # The original had a file without zeros, of which the job's own ratio is.
    baseline = result.comparison.baseline.model_copy(update={"stored_bytes": 840_000})
    compared = result.comparison.model_copy(update={"baseline": baseline})
    of_sparse = result.model_copy(update={"size_ratio": 0.5, "comparison": compared})
    found = past((spec, of_sparse), "prune")
    assert found.size_ratio == 420_000 / samples.TEACHER_FACTS.size_bytes


def test_each_method_is_repeated_once_by_its_best_job() -> None:
    twice = (pruned(), distilled(), distilled(near="architecture"))
    found = recommendations_for(subject(targets=NAMED, pasts=twice))
    taken = [one.method for one in found if samples.JOB in one.title]
    assert len(taken) == len(set(taken)) == 2
