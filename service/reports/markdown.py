"""A report as Markdown (GitHub's kind), with its figures beside it as `figure-<id>.svg`."""

import re
from html import escape

from service.contract.comparisons import Comparison
from service.contract.reports import Report, Table
from service.reports import show
from service.reports.documents import AnyDocument
from service.reports.reproduce import reproduce_tables
from service.reports.text import table_rows


def plain(text: str) -> str:
    """Text of any origin as one line that Markdown shows as it stands."""
    line = escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*\[\]|#~])|(?<!\w)_|_(?!\w)", r"\\\g<0>", line)


def markdown_table(table: Table) -> str:
    """The table in pipes, numbers aligned to the right."""
    head, *rows = [[plain(text) for text in row] for row in table_rows(table)]
    rule = ["---:" if show.is_numeric(column) else "---" for column in table.columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def fenced(text: str, language: str) -> str:
    """Text in a fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def to_markdown(report: AnyDocument) -> str:
    """The whole document; figures are links to files in the same folder."""
    parts = [f"# {plain(report.title)}", _meta(report), f"**{plain(report.headline)}**"]
    for table in report.tables:
        parts += [f"## {plain(table.title)}", markdown_table(table)]
    for chart in report.charts:
        parts += [
            f"## {plain(chart.title)}",
            f"![{plain(chart.title)}](figure-{chart.id}.svg)",
            plain(chart.description),
        ]
    parts += ["## Notes", "\n".join(f"- {plain(note)}" for note in report.notes)]
    parts += _models_compared(report) if isinstance(report, Comparison) else _provenance(report)
    return "\n\n".join(parts) + "\n"


def _meta(report: AnyDocument) -> str:
    if isinstance(report, Comparison):
        return f"comparison · {report.id} · {report.created_at:%Y-%m-%d %H:%M} UTC"
    return f"{report.kind} · {report.job} · {report.finished_at:%Y-%m-%d %H:%M} UTC"


def _models_compared(comparison: Comparison) -> list[str]:
    models = (f"- {plain(one.name)} `{one.model}`" for one in comparison.values.models)
    asked = comparison.values.request.model_dump_json(indent=2)
    return ["## Provenance", "\n".join(models), "### Request", fenced(asked, "json")]


def _provenance(report: Report) -> list[str]:
    provenance = report.provenance
    parts = (
        ["## Reproduce", "\n".join(_lineage(report))] if provenance.lineage else ["## Reproduce"]
    )
    for table in reproduce_tables(provenance):
        parts += [f"### {plain(table.title)}", markdown_table(table)]
    spec = provenance.spec.model_dump_json(indent=2)
    parts += ["### Specification to POST to /v1/jobs", fenced(spec, "json")]
    return [*parts, "### As a command", fenced(provenance.reproduce, "sh")]


def _lineage(report: Report) -> list[str]:
    return [
        f"- {plain(entry.role)}: {plain(entry.name or '')} `{entry.model}`"
        for entry in report.provenance.lineage
    ]
