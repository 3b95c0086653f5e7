"""Figures of a comparison: accuracy against each cost, change by class, calibration, sizes."""

from collections.abc import Sequence
from typing import Any, Final

from service.contract.comparisons import ComparisonModel, ComparisonValues
from service.contract.reports import Chart
from service.reports import show, vega
from service.reports.before_after_charts import calibration_chart
from service.reports.body import class_names
from service.reports.pareto import pareto_chart

_MODEL_FILE, _SPARSE_FILE = "model file", "sparse file"
_MOST_PANELS: Final = 6
_MOST_CURVES: Final = 6  # as many as the palette has colours
_MOST_CLASSES: Final = 20


def comparison_charts(values: ComparisonValues) -> tuple[Chart, ...]:
    """The figures that there are values for."""
    charts = []
    if values.fronts:
        charts.append(pareto_chart(values))
    changed = [
        one
        for one in values.models
        if one.against is not None and any(p is not None for p in one.against.class_change_points)
    ]
    if changed:
        charts.append(_classes(values, changed[:_MOST_PANELS], len(changed)))
    charts += _calibration(values.models)
    sized = [one for one in values.models if one.size_bytes is not None]
    if sized:
        charts.append(_sizes(sized))
    return tuple(charts)


def _calibration(models: Sequence[ComparisonModel]) -> tuple[Chart, ...]:
    judged = [(one.name, one.test) for one in models if one.test and one.test.reliability]
    if not judged:
        return ()
    names, tests = zip(*judged[:_MOST_CURVES], strict=True)
    (drawn,) = calibration_chart(names, tests)
    less = f" Of {len(judged)} models the first {_MOST_CURVES} are shown."
    told = drawn.description + less * (len(judged) > _MOST_CURVES)
    return (drawn.model_copy(update={"description": told}),)


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
                "axis": {"format": "+~r"},
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
            "title": "Size on disk",
            "axis": vega.BYTES,
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
