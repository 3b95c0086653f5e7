"""Figures of a comparison: accuracy against each cost, change by class, sizes."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any, Final

from service.contract.comparisons import (
    Axis,
    ComparisonModel,
    ComparisonValues,
    ParetoFront,
)
from service.contract.reports import Chart
from service.reports import show, vega
from service.reports.body import accuracy_interval, class_names
from service.reports.comparison_targets import device_title

_COSTS: Final[dict[Axis, tuple[str, str]]] = {
    "latency_ms": ("Median latency (ms)", "~g"),
    "size_bytes": ("Size on disk (bytes)", ".2~s"),
    "macs": ("MACs per input", ".2~s"),
    "parameters": ("Parameters", ".2~s"),
}
_ON, _OFF = "on the front", "beaten by another"
_MODEL_FILE, _SPARSE_FILE = "model file", "sparse file"
_MOST_LABELS: Final = 12  # more would overlap: then those on the front have them
_LONGEST_TITLE: Final = 44  # characters above a panel on a phone
_MOST_PANELS: Final = 6
_MOST_CLASSES: Final = 20


def comparison_charts(values: ComparisonValues) -> tuple[Chart, ...]:
    """The figures that there are values for."""
    charts = []
    if values.fronts:
        charts.append(_pareto(values))
    changed = [
        one
        for one in values.models
        if one.against is not None and any(p is not None for p in one.against.class_change_points)
    ]
    if changed:
        charts.append(_classes(values, changed[:_MOST_PANELS], len(changed)))
    sized = [one for one in values.models if one.size_bytes is not None]
    if sized:
        charts.append(_sizes(sized))
    return tuple(charts)


def _number(model: ComparisonModel) -> str:
    """What a point is labelled with: names of thirty models do not fit beside their points."""
    return model.name.partition(" ")[0]


def _pareto(values: ComparisonValues) -> Chart:
    models = {one.model: one for one in values.models}
    told = []
    for front in values.fronts:
        names = ", ".join(models[model].name for model in front.on_front)
        told.append(f"{_title(values, front)}: {names}")
    numbers = ", ".join(one.name for one in values.models)
    return Chart(
        id="pareto",
        title="Accuracy against what it costs",
        description="Up and to the left is better. The line joins the models that no other beats; "
        f"grey bars are 95 % intervals of the accuracy. On the front: {'; '.join(told)}. "
        f"Numbers are those of the models: {numbers}.",
        spec=vega.chart([_panel(values, front) for front in values.fronts]),
    )


def _title(values: ComparisonValues, front: ParetoFront) -> str:
    words = {"latency_ms": "latency", "size_bytes": "size", "macs": "MACs"}
    word = words.get(front.axis, front.axis)
    if front.axis != "latency_ms":
        return word
    where = f" on {front.device}" if len(values.devices) > 1 else ""
    return f"{word}{where}, batch {front.batch_size}"


def _heading(values: ComparisonValues, front: ParetoFront) -> vega.Spec:
    """With the name of the device where there are several."""
    named = [device_title(one) for one in values.devices if one.key == front.device]
    heading: vega.Spec = {"text": f"Accuracy and {_title(values, front)}"}
    if named and len(values.devices) > 1:
        heading["subtitle"] = shorten(named[0], _LONGEST_TITLE, placeholder=" …")
    return heading


def _panel(values: ComparisonValues, front: ParetoFront) -> vega.Spec:
    models = {one.model: one for one in values.models}
    rows, crowded = [], len(front.points) > _MOST_LABELS
    for point in front.points:
        test = models[point.model].test
        assert test is not None, "a point has an accuracy"
        interval, shown = accuracy_interval(test), point.is_on_front or not crowded
        rows.append(
            {
                "model": models[point.model].name,
                "number": _number(models[point.model]) if shown else "",
                "cost": vega.rounded(point.cost),
                "accuracy": vega.rounded(point.accuracy),
                "low": vega.rounded(interval.low if shown else point.accuracy),
                "high": vega.rounded(interval.high if shown else point.accuracy),
                "standing": _ON if point.is_on_front else _OFF,
            }
        )
    cost, form = _COSTS[front.axis]
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": cost,
        "axis": {"format": form, "grid": False},
        "scale": {"zero": True, "nice": True},
    }
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


def _classes(values: ComparisonValues, models: Sequence[ComparisonModel], total: int) -> Chart:
    base = values.reference.test
    assert base is not None, "changes are from its accuracy"
    names = vega.short_names(class_names(len(base.per_class_accuracy), values.labels))
    worst = sorted((_largest_loss(models, index), index) for index in range(len(names)))
    shown = sorted(index for _, index in worst[:_MOST_CLASSES])
    panels = [_change_panel(one, names, shown) for one in models]
    lowest, index = worst[0]
    less = f" Shown are the {_MOST_CLASSES} classes that lose most." * (len(names) > len(shown))
    less += f" Of {total} models the first {len(models)} are shown." * (total > len(models))
    return Chart(
        id="class-change",
        title=f"Change of accuracy by class, against {values.reference.name}",
        description=f"Left of zero is worse. The largest loss is {show.points(lowest)} "
        f"points, of class {names[index]}.{less}",
        spec=vega.chart(panels),
    )


def _largest_loss(models: Sequence[ComparisonModel], index: int) -> float:
    """The lowest change of a class over the models, in points."""
    points = (one.against.class_change_points if one.against else () for one in models)
    known = (each[index] for each in points if index < len(each))
    return min((change for change in known if change is not None), default=0.0)


def _change_panel(model: ComparisonModel, names: Sequence[str], shown: Sequence[int]) -> vega.Spec:
    points = model.against.class_change_points if model.against else ()
    rows: list[dict[str, Any]] = [
        {
            "class": names[index],
            "change": vega.rounded(points[index] or 0.0),
            "sign": "worse" if (points[index] or 0.0) < 0 else "better",
        }
        for index in shown
        if index < len(points) and points[index] is not None
    ]
    signs = ["better", "worse"]
    return {
        "title": {"text": vega.short_names([model.name])[0]},
        "data": {"values": rows},
        "mark": "bar",
        "encoding": {
            "y": {"field": "class", "type": "nominal", "title": None, "sort": list(names)},
            "x": {
                "field": "change",
                "type": "quantitative",
                "title": "Change (percentage points)",
                "axis": {"format": "~g"},
            },
            "color": {
                "field": "sign",
                "type": "nominal",
                "scale": vega.colours(signs),
                "legend": {"title": None},
            },
        },
        "height": {"step": 18},
    }


def _sizes(models: Sequence[ComparisonModel]) -> Chart:
    names = vega.short_names([one.name for one in models])
    rows = [
        {"model": name, "file": file, "bytes": size}
        for name, one in zip(names, models, strict=True)
        for file, size in ((_MODEL_FILE, one.size_bytes), (_SPARSE_FILE, one.sparse_bytes))
        if size is not None
    ]
    files = [_MODEL_FILE, _SPARSE_FILE]
    has_sparse = any(row["file"] == _SPARSE_FILE for row in rows)
    told = ", ".join(f"{one.name} {show.size(one.smallest_bytes or 0)}" for one in models)
    encoding: vega.Spec = {
        "y": {"field": "model", "type": "nominal", "title": None, "sort": names},
        "x": {
            "field": "bytes",
            "type": "quantitative",
            "title": "Size on disk (bytes)",
            "axis": {"format": ".2~s"},
        },
        "color": {
            "field": "file",
            "type": "nominal",
            "scale": vega.colours(files),
            "legend": {"title": None} if has_sparse else None,
        },
    }
    if has_sparse:
        encoding["yOffset"] = {"field": "file", "type": "nominal", "sort": files}
    return Chart(
        id="sizes",
        title="Size on disk",
        description=f"Less is better: {told}.",
        spec=vega.chart(
            [
                {
                    "data": {"values": rows},
                    "mark": "bar",
                    "encoding": encoding,
                    "height": {"step": 14 if has_sparse else 22},
                }
            ]
        ),
    )
