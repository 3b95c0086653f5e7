"""A report as files. `python -m service.reports.render REPORT.json FOLDER` does it from a shell."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.reports import charts
from service.reports.documents import DOCUMENTS, AnyDocument
from service.reports.html import to_html
from service.reports.markdown import to_markdown


@dataclass(frozen=True)
class RenderedFile:
    """One file of a rendered report, in the folder that the caller owns."""

    name: str
    kind: Literal["report", "figure"]
    media_type: str
    path: Path


def render_all(report: AnyDocument, folder: Path) -> list[RenderedFile]:
    """Writes the report in every format, and each figure, into an existing folder; files of the
    same names are overwritten. A report that has no charts has no `report.png` and `.svg`."""
    files = []
    for name, media_type, content in _contents(report):
        path = folder / name
        path.write_bytes(content)
        kind: Literal["report", "figure"] = "figure" if name.startswith("figure-") else "report"
        files.append(RenderedFile(name, kind, media_type, path))
    return files


def _contents(report: AnyDocument) -> Iterator[tuple[str, str, bytes]]:
    yield "report.json", "application/json", report.model_dump_json(indent=2).encode()
    yield "report.html", "text/html", to_html(report).encode()
    yield "report.md", "text/markdown", to_markdown(report).encode()
    if pictures := charts.overview(report):
        png, svg = pictures
        yield "report.png", "image/png", png
        yield "report.svg", "image/svg+xml", svg
    for chart in report.charts:
        yield f"figure-{chart.id}.svg", "image/svg+xml", charts.svg(chart).encode()


def main(arguments: list[str]) -> int:
    """The command line: writes the files and says their paths, one a line."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m service.reports.render REPORT.json FOLDER\n")
        return 2
    report = DOCUMENTS.validate_json(Path(arguments[0]).read_bytes())
    folder = Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file in render_all(report, folder):
        sys.stdout.write(f"{file.path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
