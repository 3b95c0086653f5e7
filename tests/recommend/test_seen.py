"""What is recommended where jobs have measured something: that counts more than a rule."""

from typing import Any

import pytest

from service.recommend.create import recommendations_for
from tests.recommend.samples import (
    CPU,
    GPU,
    TEACHER,
    by_method,
    outlook,
    past,
    pruned,
    subject,
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
