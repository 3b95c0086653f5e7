"""A report as one HTML file that needs nothing else: styles and figures are inside."""

import json
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from service.contract.base import Contract
from service.reports import charts, show
from service.reports.documents import AnyDocument
from service.reports.reproduce import reproduce_tables

_DATE: Final = "%Y-%m-%d %H:%M UTC"


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("service.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "cell": show.cell,
        "heading": show.heading,
        "is_numeric": show.is_numeric,
        "date": lambda time: time.strftime(_DATE),
        "pretty": _pretty,
        "reproduce_tables": reproduce_tables,
        "shown_rows": show.shown_rows,
    }
    return environment.get_template(f"{name}.html")


def to_html(report: AnyDocument) -> str:
    """The document as a page. Figures are drawn twice, for wide and for narrow screens."""
    figures = [
        (
            chart,
            # safe: the SVG is ours, and every name in it was escaped when it was drawn
            Markup(charts.inline_svg(chart, "wide")),  # noqa: S704
            Markup(charts.inline_svg(chart, "narrow")),  # noqa: S704
        )
        for chart in report.charts
    ]
    style = Markup(charts.dark_style(".mp-figure"))  # noqa: S704
    return _template(report.object).render(report=report, figures=figures, figure_style=style)


def _pretty(value: Contract) -> str:
    return json.dumps(value.model_dump(mode="json"), indent=2, ensure_ascii=False)
