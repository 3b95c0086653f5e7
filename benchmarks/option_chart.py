"""A picture of accuracy against the options of a loss."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.contract.reports import Chart
from service.reports import charts, vega

_LOGARITHMIC: Final = {"type": "log", "base": 2}


def draw(
    path: Path, curves: Mapping[str, Mapping[float, float]], control: float, title: str
) -> None:
    """An SVG file of a panel for each option; accuracies are in percent."""
    panels = [_panel(option, values, control) for option, values in curves.items()]
    chart = Chart(id="options", title=title, description=title, spec=vega.chart(panels))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(charts.svg(chart), encoding="utf-8")


def _panel(option: str, accuracies: Mapping[float, float], control: float) -> vega.Spec:
    values = sorted(accuracies)
    scale = _LOGARITHMIC if values[-1] / values[0] > 10 and values[0] >= 1 else {"zero": False}
    line = {
        "mark": {"type": "line", "point": True, "color": vega.PALETTE[0]},
        "encoding": {
            "x": {
                "field": "value",
                "type": "quantitative",
                "title": option,
                "scale": scale,
                "axis": {"values": values},
            },
            "y": {
                "field": "accuracy",
                "type": "quantitative",
                "title": "Test accuracy (%)",
                "scale": {"zero": False},
            },
        },
    }
    rule = {
        "data": {"values": [{"accuracy": control}]},
        "mark": {"type": "rule", "color": vega.NEUTRAL, "strokeDash": [4, 3]},
        "encoding": {"y": {"field": "accuracy", "type": "quantitative"}},
    }
    return {
        "title": {"text": f"Accuracy by {option}", "subtitle": "dashed: the control"},
        "data": {"values": [{"value": v, "accuracy": accuracies[v]} for v in values]},
        "layer": [line, rule],
        "height": 190,
    }
