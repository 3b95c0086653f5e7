"""Vega-Lite specifications drawn as SVG and PNG by vl-convert, without a browser or a network.

The renderer costs 0.4 s at its first call and keeps some 240 MB: it belongs in a worker or a
command line, so it is imported when a figure is drawn.
"""

import json
import re
from copy import deepcopy
from functools import lru_cache
from html import escape
from textwrap import wrap
from typing import Any, Final, Literal

from service.contract.reports import Chart, Document
from service.reports import vega
from service.reports.vega import Spec

Variant = Literal["wide", "narrow"]

# No address may be read: a figure has its data in it.
_CONVERSION: Final[dict[str, Any]] = {"vl_version": "6.4", "allowed_base_urls": []}
_FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"  # one set of widths, three names
_INK, _SOFT, _LINE = "#1f2328", "#59636e", "#d9dee3"
# A figure is drawn once, in the colours of a light page. On a dark one this style recolours it:
# the neutrals by their role, and the blue that is too deep there.
DARK: Final = {
    _INK: "#e6edf3",
    _SOFT: "#9da7b1",
    _LINE: "#30363d",
    vega.PALETTE[0]: "#4da3e0",
    vega.PALETTE[1]: "#ef7d3b",
    vega.PALETTE[2]: "#2bb98e",
}
# (width of a lone panel, of one panel in a grid, columns of the grid, widest label of an axis)
_SIZES: Final[dict[Variant, tuple[int, int, int, int]]] = {
    "wide": (720, 420, 2, 190),
    "narrow": (250, 250, 1, 84),
}


def dark_style(scope: str) -> str:
    """CSS that recolours every figure below the selector `scope` on a dark screen."""
    rules = [
        f'{scope} [{attribute}="{light}"]{{{attribute}:{dark}}}'
        for light, dark in DARK.items()
        for attribute in ("fill", "stroke")
    ]
    return f"@media screen and (prefers-color-scheme:dark){{{''.join(rules)}}}"


def svg(chart: Chart, variant: Variant = "wide") -> str:
    """The figure as a file of its own, for light and dark, with its title and description."""
    drawn = _draw(chart, variant)
    style = f"<style>{dark_style('.mp-figure')}</style>"
    return _entitled(drawn, chart, f"figure-{chart.id}", style)


def inline_svg(chart: Chart, variant: Variant) -> str:
    """The figure as an element of a page that has `dark_style` of its own."""
    drawn = re.sub(r' xmlns(:\w+)?="[^"]*"', "", _draw(chart, variant), count=2)
    return _entitled(drawn, chart, f"{chart.id}-{variant}", "")


def overview(document: Document) -> tuple[bytes, bytes] | None:
    """All charts in one picture on white, as PNG of twice the pixels and as SVG; None without
    charts. Laying them out takes longer than either file, so it is done once."""
    if not document.charts:
        return None
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(_overview(document), config=_on_white(), **_CONVERSION)
    png: bytes = vl_convert.svg_to_png(drawn, scale=2)
    return png, drawn.encode()


def _overview(document: Document) -> Spec:
    rows = [
        {"title": {"text": chart.title, "fontSize": 17, "offset": 14}, **_sized(chart.spec, "wide")}
        for chart in document.charts
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {
            "text": wrap(document.title, 70),
            "subtitle": wrap(document.headline.replace(" %", "\u00a0%"), 100),
            "fontSize": 20,
            "subtitleFontSize": 13,
            "offset": 22,
        },
        **vega.grid(rows, columns=1),
        "spacing": 36,
        "padding": 24,
    }


def _draw(chart: Chart, variant: Variant) -> str:
    return _drawn(json.dumps(_sized(chart.spec, variant)), variant)


@lru_cache(maxsize=32)  # of one report: its page and its files show the same figures
def _drawn(spec: str, variant: Variant) -> str:
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(spec, config=_config(variant), **_CONVERSION)
    return drawn


def _sized(spec: Spec, variant: Variant) -> Spec:
    """A copy with the widths of the variant; the schema's name goes, only a root may have it."""
    alone, in_grid, columns, _ = _SIZES[variant]
    sized = deepcopy(spec)
    sized.pop("$schema", None)
    if "concat" not in sized:
        return {**sized, "width": alone}
    for panel in sized["concat"]:
        panel["width"] = in_grid
    return {**sized, "columns": columns, "spacing": 28}


def _config(variant: Variant) -> dict[str, Any]:
    label_limit = _SIZES[variant][3]
    text = {"labelColor": _SOFT, "titleColor": _INK, "labelFontSize": 12, "titleFontSize": 12}
    title = {"color": _INK, "subtitleColor": _SOFT, "fontSize": 14, "subtitleFontSize": 12}
    return {
        "background": None,
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            **text,
            "gridColor": _LINE,
            "domainColor": _SOFT,
            "tickColor": _SOFT,
            "titleFontWeight": "normal",
            "labelLimit": label_limit,
        },
        "axisXQuantitative": {
            "tickCount": 8 if variant == "wide" else 5,
            "labelOverlap": "parity",
            "labelFlush": False,
        },
        "legend": {
            **text,
            "labelColor": _INK,
            "orient": "top",
            "columns": 3 if variant == "wide" else 1,
            "labelLimit": 230,
            "symbolStrokeWidth": 2.5,
        },
        "title": {**title, "anchor": "start", "frame": "group", "subtitlePadding": 4},
        "line": {"strokeWidth": 2},
    }


def _on_white() -> dict[str, Any]:
    return _config("wide") | {"background": "white"}


def _entitled(drawn: str, chart: Chart, prefix: str, style: str) -> str:
    """The SVG with title and description, and with ids that no other figure of a page has."""
    drawn = re.sub(r'(\bid="|url\(#)', rf"\1{prefix}-", drawn)
    # the parts' own roles would be read one by one, for hundreds of marks
    drawn = re.sub(r' (role|aria-[a-z]+)="[^"]*"', "", drawn)
    names = f'role="img" aria-labelledby="{prefix}-title {prefix}-desc"'
    head = (
        f'<title id="{prefix}-title">{escape(chart.title)}</title>'
        f'<desc id="{prefix}-desc">{escape(chart.description)}</desc>{style}'
    )
    opening, rest = drawn.split(">", 1)
    opening = re.sub(r'class="[^"]*"', f'class="mp-figure" {names}', opening)
    return f"{opening}>{head}{rest}"
