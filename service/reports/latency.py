"""Figures of a benchmark: latency distributions, speed-ups, accuracy against latency."""

from collections.abc import Sequence
from statistics import quantiles
from typing import Final

from service.contract.benchmark import BenchmarkResult, LatencyResult
from service.contract.reports import Chart
from service.reports import show, vega
from service.reports.body import accuracy_interval
from service.reports.standing import (
    Setting,
    first_setting,
    latency_at,
    setting_of,
    settings,
)

_ROW: Final = {"step": 34}  # pixels that a model takes in a figure
_BLUE, _ORANGE = vega.PALETTE[:2]


def benchmark_charts(result: BenchmarkResult, names: Sequence[str]) -> tuple[Chart, ...]:
    """The figures that the result has values for."""
    setting = first_setting(result)
    if setting is None:
        return ()
    names = vega.short_names(names)
    charts = [_distributions(result, names)]
    if any(model.speedups for model in result.models[1:]):
        charts.append(_speedups(result, names))
    return (*charts, _accuracy_against_latency(result, names, setting))


def _distributions(result: BenchmarkResult, names: Sequence[str]) -> Chart:
    panels = [_distribution_panel(result, names, setting) for setting in settings(result)]
    setting = first_setting(result)
    medians = [
        f"{name} {show.significant(one.p50_ms)} ms"
        for name, model in zip(names, result.models, strict=True)
        if (one := latency_at(model, setting))
    ]
    return Chart(
        id="latency",
        title="Latency of a forward pass",
        description="Box: the middle half of the samples; bar in it: the median; line: 5th to "
        f"95th percentile; dot: 99th. Medians ({setting}): {', '.join(medians)}.",
        spec=vega.chart(panels),
    )


def _distribution_panel(
    result: BenchmarkResult, names: Sequence[str], setting: Setting
) -> vega.Spec:
    values = [
        {"model": name, **_box(one)}
        for name, model in zip(names, result.models, strict=True)
        if (one := latency_at(model, setting))
    ]
    y = _models(names)

    def layer(mark: vega.Spec, start: str, end: str | None = None) -> vega.Spec:
        x = {"field": start, "type": "quantitative", "title": "Latency (ms)"}
        x2 = {"x2": {"field": end}} if end else {}
        return {"mark": mark, "encoding": {"y": y, "x": {**x, "scale": {"zero": True}}, **x2}}

    return {
        "title": str(setting),
        "data": {"values": values},
        "layer": [
            layer({"type": "rule", "color": vega.NEUTRAL}, "p5", "p95"),
            layer({"type": "bar", "size": 16, "opacity": 1, "color": _BLUE}, "p25", "p75"),
            layer(
                {"type": "tick", "size": 24, "thickness": 3, "opacity": 1, "color": _ORANGE}, "p50"
            ),
            layer({"type": "point", "filled": True, "size": 26, "color": vega.NEUTRAL}, "p99"),
        ],
        "height": _ROW,
    }


def _box(latency: LatencyResult) -> dict[str, float]:
    """Percentiles in milliseconds; those that the result lacks come from its samples, or are its
    median where there are too few."""
    if len(latency.quantiles_ms) == 21:
        p5, p25, p75 = (latency.quantiles_ms[i] for i in (1, 5, 15))
    elif len(latency.samples_ms) > 1:
        cuts = quantiles(latency.samples_ms, n=20, method="inclusive")
        p5, p25, p75 = cuts[0], cuts[4], cuts[14]
    else:
        p5 = p25 = p75 = latency.p50_ms
    box = {"p5": p5, "p25": p25, "p50": latency.p50_ms, "p75": p75}
    box |= {"p95": latency.p95_ms, "p99": latency.p99_ms}
    return {name: vega.rounded(value) for name, value in box.items()}


def _speedups(result: BenchmarkResult, names: Sequence[str]) -> Chart:
    groups = [str(setting) for setting in settings(result)]
    pairs = list(zip(names, result.models, strict=True))[1:]
    measured = [(name, one) for name, model in pairs for one in model.speedups]
    values = [
        {
            "model": name,
            "setting": str(setting_of(one)),
            "speedup": vega.rounded(one.speedup),
            "low": vega.rounded(one.low),
            "high": vega.rounded(one.high),
        }
        for name, one in measured
    ]
    setting = first_setting(result)
    found = [
        f"{name} {show.ratio(one.speedup)}" for name, one in measured if setting_of(one) == setting
    ]
    shared = {
        "y": _models([name for name, _ in pairs]),
        "yOffset": {"field": "setting", "type": "nominal", "sort": groups},
        "color": {
            "field": "setting",
            "type": "nominal",
            "scale": vega.colours(groups),
            "legend": {"title": None},
        },
    }
    axis = {"type": "quantitative", "title": f"Speed-up over {names[0]} (×)"}
    scale = {"scale": {"zero": True}}
    shape = {"field": "setting", "type": "nominal", "scale": vega.shapes(groups)}
    spec = {
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "rule", "color": vega.NEUTRAL, "strokeDash": [4, 3]},
                "data": {"values": [{"even": 1}]},
                "encoding": {"x": {"field": "even", **axis, **scale}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    **shared,
                    "x": {"field": "low", **axis, **scale},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {**shared, "shape": shape, "x": {"field": "speedup", **axis, **scale}},
            },
        ],
        "height": {"step": 22, "for": "offset"},
    }
    return Chart(
        id="speedup",
        title="Speed-up, with 95 % intervals",
        description=f"Right of the dashed line is faster than {names[0]}. "
        f"With {setting}: {', '.join(found)}.",
        spec=vega.chart([spec]),
    )


def _accuracy_against_latency(
    result: BenchmarkResult, names: Sequence[str], setting: Setting
) -> Chart:
    values, found = [], []
    for name, model in zip(names, result.models, strict=True):
        if one := latency_at(model, setting):
            interval = accuracy_interval(model.test)
            row = {"p50": one.p50_ms, "accuracy": interval.value}
            row |= {"low": interval.low, "high": interval.high}
            values.append({"model": name, **{k: vega.rounded(v) for k, v in row.items()}})
            found.append(
                f"{name} {show.percent(interval.value)} at {show.significant(one.p50_ms)} ms"
            )
    x = {
        "field": "p50",
        "type": "quantitative",
        "title": f"Median latency (ms; {setting})",
        "scale": {"zero": True},
    }
    y = {"type": "quantitative", "title": "Test accuracy", "scale": {"zero": False}}
    y |= {"axis": {"format": ".2~%"}}
    colour = {"field": "model", "type": "nominal", "legend": {"title": None}, "sort": list(names)}
    colour["scale"] = vega.colours(names)
    shape = {**colour, "scale": vega.shapes(names)}
    spec = {
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {
                    "x": x,
                    "y": {"field": "low", **y},
                    "y2": {"field": "high"},
                    "color": colour,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": {"field": "accuracy", **y},
                    "color": colour,
                    "shape": shape,
                },
            },
        ],
        "height": 260,
    }
    return Chart(
        id="accuracy-latency",
        title="Accuracy against latency",
        description="Up and to the left is better; the bars are 95 % intervals of the accuracy. "
        f"{'; '.join(found)}.",
        spec=vega.chart([spec]),
    )


def _models(names: Sequence[str]) -> vega.Spec:
    return {"field": "model", "type": "nominal", "title": None, "sort": list(names)}
