"""Figures of a pruning: what each layer lost, step by step, and how much each could spare."""

from collections.abc import Iterable, Sequence
from typing import Final

from service.contract.prune import PruneSpec
from service.contract.prune_result import PruneResult, SweepPoint
from service.contract.reports import Chart
from service.reports import show, vega
from service.reports.prune_tables import steps_words

_MOST_CURVES: Final = 12
_ROOM: Final = 48  # pixels around points, for what is written at them


def prune_charts(spec: PruneSpec, result: PruneResult) -> tuple[Chart, ...]:
    """The figures that this job has something to show in."""
    charts = [*_layers_charts(result), _stages_chart(result)]
    if len(result.steps) > 1:
        charts.append(_steps_chart(spec, result))
    if result.sensitivity:
        charts.append(_sensitivity_chart(result))
    if result.sweep:
        charts.append(_sweep_chart(result))
    return tuple(charts)


def _layers_charts(result: PruneResult) -> tuple[Chart, ...]:
    most = max(result.layers, key=lambda layer: layer.sparsity)
    narrower = sum(layer.channels_after < layer.channels_before for layer in result.layers)
    names = vega.short_names([layer.name for layer in result.layers])
    sparsity = [
        (name, "gone or zero", layer.sparsity)
        for name, layer in zip(names, result.layers, strict=True)
    ]
    channels = [
        (name, series, value)
        for name, layer in zip(names, result.layers, strict=True)
        for series, value in (("before", layer.channels_before), ("after", layer.channels_after))
    ]
    weights = Chart(
        id="layers",
        title="Weights gone or zero, layer by layer",
        description=f"{most.name} lost the largest share of its weights: "
        f"{show.percent(most.sparsity)}.",
        spec=vega.chart(
            [_shares("Sparsity", sparsity, names, "gone or zero", "Share of the layer's weights")]
        ),
    )
    if not narrower:  # zeros leave every layer as wide as it was
        return (weights,)
    outputs = Chart(
        id="channels",
        title="Outputs before and after, layer by layer",
        description=f"{narrower} of {len(result.layers)} layers have fewer outputs.",
        spec=vega.chart(
            [
                vega.bars(
                    "Outputs",
                    channels,
                    names,
                    ["before", "after"],
                    unit="Channels or features that the layer gives",
                    form=",d",
                )
            ]
        ),
    )
    return weights, outputs


def _stages_chart(result: PruneResult) -> Chart:
    names = [stage.stage for stage in result.stages]
    rows = [(stage.stage, "test", stage.test.accuracy) for stage in result.stages]
    told = ", ".join(f"{one.stage} {show.percent(one.test.accuracy)}" for one in result.stages)
    return Chart(
        id="stages",
        title="Accuracy from stage to stage",
        description=f"Test accuracy: {told}.",
        spec=vega.chart([_shares("Test accuracy", rows, names, "test", "Accuracy")]),
    )


def _steps_chart(spec: PruneSpec, result: PruneResult) -> Chart:
    # Channels are asked for; what goes with them is more.
    of, asked = steps_words(result)
    method = f"{of} gone" if of == "parameters" else "zeros"
    method = f"{method} ({spec.method.name}, {spec.schedule.name})"
    rows = [(method, step.step, step.sparsity) for step in result.steps]
    rows += [(asked, step.step, step.asked) for step in result.steps]
    accuracy = [("validation", step.step, step.validation_accuracy) for step in result.steps]
    last = result.steps[-1]
    return Chart(
        id="steps",
        title="Step by step",
        description=f"In {len(result.steps)} steps {show.percent(last.sparsity)} of the {of} "
        f"went; validation accuracy is {show.percent(last.validation_accuracy)} after the last.",
        spec=vega.chart(
            [
                _lines("Sparsity", rows, [method, asked], "Step", "Share", "d", dashed=asked),
                _lines("Accuracy", accuracy, ["validation"], "Step", "Validation accuracy", "d"),
            ]
        ),
    )


def _sensitivity_chart(result: PruneResult) -> Chart:
    # Those that fall furthest are those to know of.
    curves = sorted(result.sensitivity, key=lambda curve: min(curve.accuracies))
    shown = vega.thinned(curves, _MOST_CURVES)
    names = vega.short_names([curve.layer for curve in shown])
    rows = [
        (name, ratio, accuracy)
        for name, curve in zip(names, shown, strict=True)
        for ratio, accuracy in zip(curve.ratios, curve.accuracies, strict=True)
    ]
    return Chart(
        id="sensitivity",
        title="What each layer can spare",
        description=f"{curves[0].layer} is the most sensitive: cut alone, it takes accuracy down "
        f"to {show.percent(min(curves[0].accuracies))}.",
        spec=vega.chart(
            [
                _lines(
                    "Accuracy as one layer is cut",
                    rows,
                    names,
                    "Share of channels removed",
                    "Validation accuracy",
                    ".0%",
                )
            ]
        ),
    )


def _sweep_chart(result: PruneResult) -> Chart:
    panels = [_compared("Accuracy and size", result.sweep, "size_bytes", "Bytes on disk", "~s")]
    if all(one.p50_ms for one in result.sweep):
        panels.append(_compared("Accuracy and latency", result.sweep, "p50_ms", "p50 (ms)", "~r"))
    kept = next(one for one in result.sweep if one.is_kept)
    return Chart(
        id="sweep",
        title="Amounts compared",
        description=f"Of {len(result.sweep)} amounts {show.percent(kept.amount)} was kept, with "
        f"{show.percent(kept.test_accuracy)} test accuracy.",
        spec=vega.chart(panels),
    )


def _compared(title: str, points: Sequence[SweepPoint], of: str, unit: str, form: str) -> vega.Spec:
    """Accuracy over one of the points' measures, each with its amount beside it."""
    rows = [("test", getattr(one, of), one.test_accuracy) for one in points]
    panel = _lines(title, rows, ["test"], unit, "Test accuracy", form)
    told = [
        {
            "x": vega.rounded(at),
            "y": vega.rounded(accuracy),
            "text": f"{one.amount:.0%}" + (", kept" if one.is_kept else ""),
        }
        for one, (_, at, accuracy) in zip(points, rows, strict=True)
    ]
    where = {axis: panel["encoding"][axis] for axis in ("x", "y")}
    for one in where.values():
        one["scale"] = {"zero": False, "padding": _ROOM}
    names: vega.Spec = {
        "data": {"values": told},
        "mark": {
            "type": "text",
            "align": "left",
            "dx": 5,
            "dy": 10,
            "fontSize": 12,
            "color": vega.NEUTRAL,
        },
        "encoding": {**where, "text": {"field": "text", "type": "nominal"}},
    }
    return vega.layered(panel, names)


def _shares(
    title: str, rows: Iterable[tuple[str, str, float]], order: Sequence[str], series: str, unit: str
) -> vega.Spec:
    """Bars of one series from nothing to all, so that figures of several jobs compare."""
    panel = vega.bars(title, rows, order, [series], unit=unit, form=".0%")
    panel["encoding"]["x"]["scale"] = {"domain": [0, 1]}
    return panel


def _lines(
    title: str,
    rows: Iterable[tuple[str, float, float]],
    names: Sequence[str],
    x: str,
    y: str,
    form: str,
    dashed: str | None = None,
) -> vega.Spec:
    """Lines over `x`; a `dashed` one shows what lies beneath it."""
    points = list(rows)
    values = [{"series": s, "x": vega.rounded(at), "y": vega.rounded(v)} for s, at, v in points]
    # Between two steps a scale would put a half, and write it as a whole.
    steps = sorted({at for _, at, _ in points})
    series = {
        "field": "series",
        "type": "nominal",
        "legend": {"title": None} if len(names) > 1 else None,
    }
    whole = {"values": vega.thinned(steps, _MOST_CURVES)} if form == "d" else {}
    return {
        "title": {"text": title},
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "title": x,
                "axis": {"format": form, "grid": False, **whole},
                "scale": {"zero": False},
            },
            "y": {
                "field": "y",
                "type": "quantitative",
                "title": y,
                "axis": {"format": ".1~%"},
                "scale": {"zero": False},
            },
            "color": {**series, "scale": vega.colours(names)},
            "shape": {**series, "scale": vega.shapes(names)},
            "strokeDash": {
                "field": "series",
                "type": "nominal",
                "scale": {
                    "domain": list(names),
                    "range": [[4, 5] if name == dashed else [1, 0] for name in names],
                },
                "legend": None,
            },
        },
        "height": 190,
    }
