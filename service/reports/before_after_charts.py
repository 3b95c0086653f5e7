"""Figures of a comparison: what is left, which classes moved, how sure each model rightly is."""

from collections.abc import Sequence
from typing import Final

from service.contract.before_after import BeforeAfter, ComparedLatency
from service.contract.reports import Chart
from service.contract.training import Evaluation
from service.reports import show, vega
from service.reports.before_after import pair_setting
from service.reports.body import class_names

_MOST_CLASSES: Final = 30
_EDGES: Final = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]


def before_after_charts(
    found: BeforeAfter, names: Sequence[str], labels: Sequence[str] | None
) -> tuple[Chart, ...]:
    """The figures that there are values for; `names` are of baseline and compressed."""
    tests = [found.baseline.test, found.compressed.test]
    return (
        _remaining(found),
        *_latencies(found),
        *_class_changes(found, labels),
        *calibration_chart(names, tests),
    )


def _remaining(found: BeforeAfter) -> Chart:
    shares = _shares(found)
    order = [name for name, _ in shares]
    panel = vega.bars(
        "Share of the baseline that is left",
        [(name, "left", share) for name, share in shares],
        order,
        ["left"],
        unit="Share of the baseline (dashed: all of it)",
        form=".0%",
    )
    whole = {
        "data": {"values": [{"value": 1}]},
        "mark": {"type": "rule", "color": vega.NEUTRAL, "strokeDash": [4, 3]},
        "encoding": {"x": {"field": "value", "type": "quantitative"}},
    }
    told = "; ".join(f"{_flat(name)} {show.percent(share)}" for name, share in shares)
    return Chart(
        id="remaining",
        title="What is left of the baseline",
        description=f"Left of the dashed line is less than the baseline has: {told}.",
        spec=vega.chart([vega.layered(panel, whole)]),
    )


def _shares(found: BeforeAfter) -> list[tuple[str, float]]:
    """Compressed ÷ baseline of everything that compression is to make less."""
    shares = [("parameters", 1 / found.compression_ratio)]
    if found.nonzero_compression_ratio != found.compression_ratio:
        shares.append(("non-zero\nparameters", 1 / found.nonzero_compression_ratio))
    if found.macs_ratio is not None:
        shares.append(("MACs", 1 / found.macs_ratio))
    shares.append(("bytes on disk", found.size_ratio))
    for one in found.latencies:
        name = f"time,\nbatch {one.batch_size}"
        if name not in dict(shares):  # the first is in the runtime of both, where there are two
            shares.append((name, 1 / one.speedup))
    if found.memory_ratio is not None:
        shares.append(("memory", found.memory_ratio))
    return shares


def _flat(name: str) -> str:
    return name.replace("\n", " ")


def _latencies(found: BeforeAfter) -> tuple[Chart, ...]:
    if not found.latencies:
        return ()
    sizes = sorted({one.batch_size for one in found.latencies})
    panels = [
        _latency_panel(size, [one for one in found.latencies if one.batch_size == size])
        for size in sizes
    ]
    told = "; ".join(
        f"{pair_setting(one)}: {show.significant(one.baseline_p50_ms)} ms before, "
        f"{show.significant(one.compressed_p50_ms)} ms after"
        for one in found.latencies
    )
    return (
        Chart(
            id="latency",
            title="Median latency, before and after",
            description=f"Timed in turns in one run. {told}.",
            spec=vega.chart(panels),
        ),
    )


def _latency_panel(size: int, rows: Sequence[ComparedLatency]) -> vega.Spec:
    bars = [(f"before,\n{one.baseline_runtime}", "before", one.baseline_p50_ms) for one in rows]
    bars.append((f"after,\n{rows[0].runtime}", "after", rows[0].compressed_p50_ms))
    return vega.bars(
        f"batch {size}",
        bars,
        [bar for bar, _, _ in bars],
        ["before", "after"],
        unit="Median (ms)",
        form="~r",
        coloured=True,
    )


def _class_changes(found: BeforeAfter, labels: Sequence[str] | None) -> tuple[Chart, ...]:
    named = zip(
        class_names(len(found.class_change_points), labels), found.class_change_points, strict=True
    )
    changes = [(name, change) for name, change in named if change is not None]
    if not changes:
        return ()
    if few := len(changes) > _MOST_CLASSES:
        widest = sorted(changes, key=lambda one: -abs(one[1]))[:_MOST_CLASSES]
        changes = sorted(widest, key=lambda one: one[1])
    names = vega.short_names([name for name, _ in changes])
    worst, best = min(changes, key=lambda one: one[1]), max(changes, key=lambda one: one[1])
    return (
        Chart(
            id="class-changes",
            title="Change of accuracy by class"
            + (f" (the {_MOST_CLASSES} that moved most)" if few else ""),
            description=f"{worst[0]} changed by {show.points(worst[1])} points, {best[0]} by "
            f"{show.points(best[1])}; a class has a share of the test examples, so that its change "
            "is less certain than that of all.",
            spec=vega.chart(
                [
                    vega.bars(
                        "Compressed minus baseline",
                        [
                            (name, "gained" if change >= 0 else "lost", change)
                            for name, (_, change) in zip(names, changes, strict=True)
                        ],
                        names,
                        ["gained", "lost"],
                        unit="Change of test accuracy (percentage points)",
                        form="+~r",
                        coloured=True,
                    )
                ]
            ),
        ),
    )


def calibration_chart(names: Sequence[str], tests: Sequence[Evaluation]) -> tuple[Chart, ...]:
    """Confidence against accuracy, and how confident the answers are; none without bins."""
    if not all(test.reliability for test in tests):
        return ()
    names = vega.short_names(names)
    values = [
        {
            "model": name,
            "confidence": vega.rounded(one.confidence),
            "accuracy": vega.rounded(one.accuracy),
            "share": vega.rounded(one.samples / test.samples),
        }
        for name, test in zip(names, tests, strict=True)
        for one in test.reliability
    ]
    told = ", ".join(
        f"{name} {show.percent(test.calibration_error)}"
        for name, test in zip(names, tests, strict=True)
    )
    return (
        Chart(
            id="calibration",
            title="Calibration",
            description="On the dashed line a model is right as often as it is confident; below "
            "it is too sure. A range of confidence with few examples jumps about by chance. "
            f"Expected calibration error: {told}.",
            spec=vega.chart(
                [
                    vega.layered(
                        _by_confidence(
                            "Reliability", names, values, "accuracy", "Share that is right"
                        ),
                        {
                            "data": {"values": _EDGES},
                            "mark": {"type": "line", "color": vega.NEUTRAL, "strokeDash": [4, 3]},
                            "encoding": {
                                "x": {"field": "x", "type": "quantitative"},
                                "y": {"field": "y", "type": "quantitative"},
                            },
                        },
                    ),
                    _by_confidence(
                        "Confidence of the answers", names, values, "share", "Share of examples"
                    ),
                ]
            ),
        ),
    )


def _by_confidence(
    title: str, names: Sequence[str], values: list[vega.Spec], field: str, unit: str
) -> vega.Spec:
    series = {"field": "model", "type": "nominal", "legend": {"title": None}}
    return {
        "title": {"text": title},
        "data": {"values": values},
        "mark": {"type": "line", "point": {"size": 45}},
        "encoding": {
            "x": {
                "field": "confidence",
                "type": "quantitative",
                "title": "Confidence of the top prediction",
                "axis": {"format": ".0%"},
                "scale": {"domain": [0, 1]},
            },
            "y": {
                "field": field,
                "type": "quantitative",
                "title": unit,
                "axis": {"format": ".0%"},
                "scale": {"domain": [0, 1]},
            },
            "color": {**series, "scale": vega.colours(names)},
            "shape": {**series, "scale": vega.shapes(names)},
        },
        "height": 240,
    }
