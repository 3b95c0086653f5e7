"""Building blocks of Vega-Lite specifications, all data inside.

A specification says what is drawn and in which of the palette's colours; widths, fonts and the
neutral colours are set when it is drawn (`service.reports.charts`), or by the page that shows it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

Spec = dict[str, Any]
T = TypeVar("T")

# Okabe and Ito's palette, which the common colour vision deficiencies tell apart; its yellow and
# black are left out, since they vanish on a white and on a dark page.
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES: Final = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
)
NEUTRAL: Final = "#808080"
_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
BYTES: Final[Spec] = {"labelExpr": "format(datum.value, '.2~s') + 'B'"}
"""An axis of bytes, in decimal multiples."""
# Half a line: labels hang from the middle of their first one.
_UP_A_LINE: Final = {
    "condition": {"test": "indexof(datum.value, '\\n') > 0", "value": -7},
    "value": 0,
}
_MOST_TICKS: Final = 6
_MOST_POINTS: Final = 400  # of a curve: more than a figure has pixels for


def rounded(value: float) -> float:
    """Six significant digits: as much as a figure can show, and a third of the bytes."""
    return float(f"{value:.6g}")


def thinned(items: Sequence[T], most: int = _MOST_POINTS) -> list[T]:
    """At most `most` items evenly over the sequence, first and last included."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(index * step)] for index in range(most)]


def short_names(names: Sequence[str]) -> list[str]:
    """Names that fit beside an axis, their middle left out, as long as that keeps them distinct."""
    short = [name if len(name) <= 28 else f"{name[:13]}…{name[-13:]}" for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


def chart(panels: Sequence[Spec]) -> Spec:
    """One specification of all panels, two to a row, each with colours of its own."""
    if len(panels) == 1:
        return {"$schema": _SCHEMA, **panels[0]}
    return {"$schema": _SCHEMA, **grid(panels)}


def grid(panels: Sequence[Spec], columns: int = 2) -> Spec:
    """Panels side by side, which share no scale."""
    channels = ("color", "shape", "strokeDash", "x", "y", "yOffset")
    return {
        "concat": list(panels),
        "columns": columns,
        "resolve": {"scale": dict.fromkeys(channels, "independent")},
    }


def colours(names: Sequence[str]) -> Spec:
    """A colour scale that gives each name one of the palette's, in order."""
    return {"domain": list(names), "range": [PALETTE[i % len(PALETTE)] for i in range(len(names))]}


def shapes(names: Sequence[str]) -> Spec:
    """A shape scale; its period differs from the palette's, so that 42 pairs differ."""
    return {"domain": list(names), "range": [SHAPES[i % len(SHAPES)] for i in range(len(names))]}


def curves(
    title: str,
    rows: Iterable[tuple[int, str, float]],
    names: Sequence[str],
    *,
    unit: str,
    form: str,
    kept: int,
    from_zero: bool,
) -> Spec:
    """Series over epochs as lines; rows are (epoch, series, value), `kept` the epoch to mark."""
    values = [{"epoch": e, "series": s, "value": rounded(v)} for e, s, v in rows]
    encoding = {
        "x": _epochs(values),
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": unit,
            "axis": {"format": form},
            "scale": {"zero": from_zero},
        },
        "color": _series(names),
    }
    line = {"type": "line", "point": len({row["epoch"] for row in values}) <= 12}
    return _marked(title, values, [{"mark": line, "encoding": encoding}], kept)


def shares(
    title: str, rows: Iterable[tuple[int, str, float]], names: Sequence[str], *, kept: int
) -> Spec:
    """Fractions that add up to one, as stacked areas over epochs."""
    values = [{"epoch": e, "series": s, "value": rounded(v)} for e, s, v in rows]
    encoding = {
        "x": _epochs(values),
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": "Share of the total",
            "axis": {"format": ".0%"},
            "scale": {"domain": [0, 1]},
            "stack": "zero",
        },
        "color": _series(names),
    }
    if len({row["epoch"] for row in values}) == 1:  # an area of one epoch has no width
        layer: Spec = {"mark": {"type": "bar", "size": 40}, "encoding": encoding}
    else:
        layer = {"mark": {"type": "area", "opacity": 0.8}, "encoding": encoding}
    return _marked(title, values, [layer], kept)


def bars(
    title: str,
    rows: Iterable[tuple[str, str, float]],
    order: Sequence[str],
    series: Sequence[str],
    *,
    unit: str,
    form: str,
    coloured: bool = False,
) -> Spec:
    """Horizontal bars; rows are (bar, series, value), several series of a bar below each other.

    The format `bytes` writes sizes. `coloured` bars have one series each, and may lie on either
    side of zero. A line break in the name of a bar is one beside the axis, where there is room for
    some 13 letters on a phone."""
    values = [{"bar": bar, "series": of, "value": rounded(value)} for bar, of, value in rows]
    encoding: Spec = {
        "y": {
            "field": "bar",
            "type": "nominal",
            "title": None,
            "sort": list(order),
            "axis": {"labelExpr": "split(datum.label, '\\n')", "labelOffset": _UP_A_LINE},
        },
        "x": {
            "field": "value",
            "type": "quantitative",
            "title": unit,
            "axis": BYTES if form == "bytes" else {"format": form},
            "scale": {} if coloured else {"domainMin": 0},
        },
        "color": {**_series(series), "legend": {"title": None} if len(series) > 1 else None},
    }
    if len(series) > 1 and not coloured:
        encoding["yOffset"] = {"field": "series", "type": "nominal", "sort": list(series)}
    return {
        "title": {"text": title},
        "data": {"values": values},
        "mark": "bar",
        "encoding": encoding,
        "height": {"step": 32 if any("\n" in bar for bar in order) else 20 - 8 * (len(order) > 20)},
    }


def layered(panel: Spec, *others: Spec) -> Spec:
    """A panel with more marks over it, on the same scales."""
    kept: Spec = {name: panel[name] for name in ("title", "height", "width") if name in panel}
    first = {name: part for name, part in panel.items() if name not in kept}
    return {**kept, "layer": [first, *others]}


def _marked(title: str, values: list[Spec], layers: list[Spec], kept: int) -> Spec:
    rule = {
        "data": {"values": [{"epoch": kept}]},
        "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [4, 3]},
        "encoding": {"x": {"field": "epoch", "type": "quantitative"}},
    }
    return {
        "title": {"text": title, "subtitle": f"dashed: epoch {kept}, which was kept"},
        "data": {"values": values},
        "layer": [*layers, rule],
        "height": 190,
    }


def _epochs(values: Sequence[Spec]) -> Spec:
    # Between two epochs a scale would put a half, and write it as a whole.
    epochs = thinned(sorted({row["epoch"] for row in values}), _MOST_TICKS)
    return {
        "field": "epoch",
        "type": "quantitative",
        "title": "Epoch",
        "axis": {"format": ",d", "values": epochs, "grid": False},
        "scale": {"zero": False, "nice": False},
    }


def _series(names: Sequence[str]) -> Spec:
    return {
        "field": "series",
        "type": "nominal",
        "scale": colours(names),
        "legend": {"title": None},
    }
