"""Targets in reports: units, and whether each was kept."""

import pytest

from service.contract.prune import Targets
from service.contract.prune_result import TargetResult
from service.reports import show
from service.reports.promises import missed_by, targets_table, worded


@pytest.mark.parametrize(
    ("name", "asked", "shown"),
    [
        ("macs", 0.25, "25.00 %"),
        ("size_bytes", 500_000, "500 kB"),
        ("latency_ms", 2.5, "2.50 ms"),
        ("min_speedup", 2, "2.00×"),
        ("max_accuracy_drop_points", 0.5, "0.500 points"),
    ],
)
def test_a_target_is_said_with_its_unit(name: str, asked: float, shown: str) -> None:
    assert worded(name, asked) == shown


def test_every_target_has_words_and_a_unit() -> None:
    names = Targets(macs=0.5).model_dump(exclude={"batch_size"})
    table = targets_table([TargetResult(name=name, asked=1, reached=1) for name in names])
    assert [row["verdict"] for row in table.rows] == ["met"] * 6


def test_a_promise_of_speed_is_missed_from_below_and_all_others_from_above() -> None:
    assert missed_by("min_speedup", 2.0, 1.5) == 0.5
    assert missed_by("latency_ms", 2.0, 1.5) is None
    assert missed_by("latency_ms", 1.5, 2.0) == 0.5
    assert missed_by("macs", 0.1 + 0.2, 0.3) is None  # 0.1 + 0.2 is a little more than 0.3
    assert missed_by("macs", 0.3, 0.1 + 0.2) is None


def test_asked_and_reached_stand_in_the_same_form() -> None:
    table = targets_table([TargetResult(name="size_bytes", asked=500_000, reached=612_400)])
    ((name, _, asked, reached, verdict),) = show.shown_rows(table)
    assert (name, asked, reached, verdict) == ("size_bytes", "≤ 500 kB", "612 kB", "missed")
