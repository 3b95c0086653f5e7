"""Accuracy against each cost: which models no other beats."""

from collections.abc import Mapping
from math import ceil, floor, log, log10
from textwrap import shorten
from typing import Final

from service.contract.comparisons import (
    Axis,
    ComparisonModel,
    ComparisonValues,
    FrontPoint,
    ParetoFront,
)
from service.contract.reports import Chart, Interval
from service.reports import vega
from service.reports.body import accuracy_interval
from service.reports.comparison_targets import device_title

_COSTS: Final[dict[Axis, tuple[str, vega.Spec]]] = {
    "latency_ms": ("Median latency (ms)", {"format": "~r"}),
    "size_bytes": ("Size on disk", vega.BYTES),
    "macs": ("MACs per input", {"format": "~s"}),
    "parameters": ("Parameters", {"format": "~s"}),
}
_ON, _OFF = "on the front", "beaten by another"
_MOST_LABELS: Final = 12  # more would overlap: then those on the front have them
_NEAR: Final = 0.07  # of a panel's sides: labels that are closer would lie on each other
_WIDE: Final = 20  # times: beyond it a linear scale puts all the small models on its edge
_MOST_TICKS: Final = 5
_LONGEST_TITLE: Final = 44  # characters above a panel on a phone


def _number(model: ComparisonModel) -> str:
    """What a point is labelled with: names of thirty models do not fit beside their points."""
    return model.name.partition(" ")[0]


def pareto_chart(values: ComparisonValues) -> Chart:
    models = {one.model: one for one in values.models}
    told = []
    for front in values.fronts:
        names = ", ".join(models[model].name for model in front.on_front)
        told.append(f"{front_title(values, front)}: {names}")
    numbers = ", ".join(one.name for one in values.models)
    return Chart(
        id="pareto",
        title="Accuracy against what it costs",
        description="Up and to the left is better. The line joins the models that no other beats; "
        f"grey bars are 95 % intervals of the accuracy. On the front: {'; '.join(told)}. "
        f"Numbers are those of the models: {numbers}.",
        spec=vega.chart([front_panel(values, front) for front in values.fronts]),
    )


def front_title(values: ComparisonValues, front: ParetoFront) -> str:
    """The cost of its axis, in words."""
    words = {"latency_ms": "latency", "size_bytes": "size", "macs": "MACs"}
    word = words.get(front.axis, front.axis)
    if front.axis != "latency_ms":
        return word
    where = f" on {front.device}" if len(values.devices) > 1 else ""
    return f"{word}{where}, batch {front.batch_size}"


def _heading(values: ComparisonValues, front: ParetoFront) -> vega.Spec:
    """With the name of the device where there are several."""
    named = [device_title(one) for one in values.devices if one.key == front.device]
    heading: vega.Spec = {"text": f"Accuracy and {front_title(values, front)}"}
    if named and len(values.devices) > 1:
        heading["subtitle"] = shorten(named[0], _LONGEST_TITLE, placeholder=" …")
    return heading


def front_panel(values: ComparisonValues, front: ParetoFront) -> vega.Spec:
    """One front; its width is for the page or picture to say."""
    models = {one.model: one for one in values.models}
    labels, crowded = _labels(front, models), len(front.points) > _MOST_LABELS
    rows = []
    for point in front.points:
        interval = _interval(models[point.model])
        shown = point.is_on_front or not crowded
        rows.append(
            {
                "model": models[point.model].name,
                "number": labels.get(point.model, ""),
                "cost": vega.rounded(point.cost),
                "accuracy": vega.rounded(point.accuracy),
                "low": vega.rounded(interval.low if shown else point.accuracy),
                "high": vega.rounded(interval.high if shown else point.accuracy),
                "standing": _ON if point.is_on_front else _OFF,
            }
        )
    cost, form = _COSTS[front.axis]
    wide = _is_wide(front)
    x: vega.Spec = {
        "field": "cost",
        "type": "quantitative",
        "title": cost + ", logarithmic" * wide,
        "axis": {**form, "grid": False},
        "scale": {"zero": True, "nice": True},
    }
    if wide:
        x["axis"]["values"] = _ticks(front)
        x["scale"] = {"type": "log", "nice": False, "padding": 14}
    y = {"type": "quantitative", "title": "Test accuracy", "axis": {"format": ".1~%"}}
    y["scale"] = {"zero": False}
    names = [_ON, _OFF]
    colour = {"field": "standing", "type": "nominal", "scale": vega.colours(names)}
    colour["legend"] = {"title": None}
    shape = {**colour, "scale": vega.shapes(names)}
    line = {"type": "line", "interpolate": "step-after", "color": vega.PALETTE[0]}
    return {
        "title": _heading(values, front),
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 1.5, "color": vega.NEUTRAL, "opacity": 0.6},
                "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}},
            },
            {
                "transform": [{"filter": {"field": "standing", "equal": _ON}}],
                "mark": {**line, "opacity": 0.7},
                "encoding": {"x": x, "y": {"field": "accuracy", **y}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": {"field": "accuracy", **y},
                    "color": colour,
                    "shape": shape,
                },
            },
            {
                "mark": {
                    "type": "text",
                    "align": "left",
                    "baseline": "bottom",
                    "dx": 6,
                    "dy": -3,
                    "fontSize": 12,
                    "color": vega.NEUTRAL,
                },
                "encoding": {
                    "x": x,
                    "y": {"field": "accuracy", **y},
                    "text": {"field": "number", "type": "nominal"},
                },
            },
        ],
        "height": 230,
    }


def _interval(model: ComparisonModel) -> Interval:
    assert model.test is not None, "a point has an accuracy"
    return accuracy_interval(model.test)


def _is_wide(front: ParetoFront) -> bool:
    """Whether the costs need a logarithmic scale: points are cheapest first."""
    least, most = front.points[0].cost, front.points[-1].cost
    return least > 0 and most / least > _WIDE


def _ticks(front: ParetoFront) -> list[float]:
    """Powers of ten that the costs span, and 2 and 5 of each where these are few."""
    first = floor(log10(front.points[0].cost))
    last = ceil(log10(front.points[-1].cost))
    tens = [10.0**power for power in range(first, last + 1)]
    ticks = tens if len(tens) >= _MOST_TICKS else [m * ten for ten in tens for m in (1, 2, 5)]
    low, high = front.points[0].cost / 1.5, front.points[-1].cost * 1.5
    return [vega.rounded(tick) for tick in ticks if low <= tick <= high]


def _labels(front: ParetoFront, models: Mapping[str, ComparisonModel]) -> dict[str, str]:
    """What stands beside which point. Points that nearly coincide share one label, which is
    beside the cheapest of them."""
    crowded = len(front.points) > _MOST_LABELS
    points = [point for point in front.points if point.is_on_front or not crowded]
    bounds = [_interval(models[point.model]) for point in front.points]
    bottom, top = min(one.low for one in bounds), max(one.high for one in bounds)
    groups: list[list[FrontPoint]] = []
    for point in points:
        near = (one for one in groups if _are_near(one[0], point, front, (top - bottom) or 1.0))
        group = next(near, None)
        if group is None:
            groups.append([point])
        else:
            group.append(point)
    return {
        group[0].model: ", ".join(_number(models[point.model]) for point in group)
        for group in groups
    }


def _are_near(one: FrontPoint, other: FrontPoint, front: ParetoFront, height: float) -> bool:
    across = abs(_place(one, front) - _place(other, front))
    return across < _NEAR and abs(one.accuracy - other.accuracy) / height < _NEAR


def _place(point: FrontPoint, front: ParetoFront) -> float:
    """From the left edge, as a share of the panel's width."""
    least, most = front.points[0].cost, front.points[-1].cost
    if _is_wide(front):
        return log(point.cost / least) / log(most / least)
    return point.cost / most if most else 0.0
