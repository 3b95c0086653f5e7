"""The figure of accuracy against costs: scales, ticks and labels that can be read."""

from typing import Any

import pytest

from service.contract.comparisons import FrontPoint, ParetoFront
from service.reports.pareto import pareto_chart
from tests.comparisons import samples
from tests.comparisons.samples import SIMPLE, STUDENT, TEACHER


def panel(*points: tuple[str, float]) -> dict[str, Any]:
    """One of models at costs, cheapest first; accuracies are those of the samples."""
    values = samples.everything().values
    tests = {one.model: one.test for one in values.models}
    found = []
    for model, cost in points:
        test = tests[model]
        assert test is not None
        found.append(FrontPoint(model=model, cost=cost, accuracy=test.accuracy, is_on_front=True))
    front = ParetoFront(axis="size_bytes", points=tuple(found))
    return pareto_chart(values.model_copy(update={"fronts": (front,)})).spec


def x_of(spec: dict[str, Any]) -> dict[str, Any]:
    x: dict[str, Any] = spec["layer"][0]["encoding"]["x"]
    return x


def test_costs_within_twenty_times_are_drawn_from_zero() -> None:
    x = x_of(panel((SIMPLE, 50_000), (TEACHER, 1_000_000)))
    assert x["scale"]["zero"]
    assert "logarithmic" not in x["title"]


def test_costs_that_are_further_apart_have_a_logarithmic_scale_with_round_ticks() -> None:
    x = x_of(panel((SIMPLE, 40_000), (STUDENT, 300_000), (TEACHER, 1_000_000)))
    assert (x["scale"]["type"], x["title"]) == ("log", "Size on disk, logarithmic")
    assert x["axis"]["values"] == [50_000, 100_000, 200_000, 500_000, 1_000_000]


def test_costs_over_many_powers_of_ten_are_marked_at_these_only() -> None:
    x = x_of(panel((SIMPLE, 900), (TEACHER, 12_000_000)))
    assert x["axis"]["values"] == [1e3, 1e4, 1e5, 1e6, 1e7]


@pytest.mark.parametrize(
    ("cost", "labels"),
    [(1_010_000, ["#1, #2", ""]), (2_000_000, ["#1", "#2"])],
)
def test_points_that_nearly_coincide_share_a_label(cost: float, labels: list[str]) -> None:
    values = samples.everything().values
    (teacher,) = (one for one in values.models if one.model == TEACHER)
    alike = tuple(
        one.model_copy(update={"test": teacher.test}) if one.model == STUDENT else one
        for one in values.models
    )
    assert teacher.test is not None
    accuracy = teacher.test.accuracy
    points = tuple(
        FrontPoint(model=model, cost=at, accuracy=accuracy, is_on_front=True)
        for model, at in ((TEACHER, 1_000_000), (STUDENT, cost))
    )
    fronts = (ParetoFront(axis="macs", points=points),)
    chart = pareto_chart(values.model_copy(update={"models": alike, "fronts": fronts}))
    assert [row["number"] for row in chart.spec["data"]["values"]] == labels
