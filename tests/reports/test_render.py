import io
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from service.contract.reports import Report
from service.contract.specs import JobResult, JobSpec
from service.reports import charts
from service.reports.html import to_html
from service.reports.markdown import plain, to_markdown
from service.reports.render import render_all
from tests.reports import samples
from tests.reports.pages import Page

MADE: dict[str, tuple[JobSpec, JobResult]] = {
    "train": samples.train(),
    "distill": samples.distill(),
    "benchmark": samples.benchmark(),
    "plan": samples.plan(),
    "one epoch": samples.train(epochs=1),
    "hostile names": samples.distill(student_name=samples.HOSTILE),
    "hostile title": samples.train(name=samples.HOSTILE),
}
FIGURES = {"train": 2, "distill": 5, "benchmark": 3, "plan": 0}


@pytest.mark.parametrize("case", MADE)
def test_page_is_valid_offline_and_small(case: str) -> None:
    source = to_html(samples.report(MADE[case]))
    page = Page(source)
    assert page.stack == []
    assert [address for address in page.fetched if not address.startswith("#")] == []
    assert len(source.encode()) <= 2_000_000
    assert page.count("script") == 0


@pytest.mark.parametrize("case", MADE)
def test_ids_of_a_page_are_unique_and_references_find_them(case: str) -> None:
    page = Page(to_html(samples.report(MADE[case])))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids
    assert {address.removeprefix("#") for address in page.fetched} <= set(ids)


def test_page_is_readable_by_ear() -> None:
    page = Page(to_html(samples.report(samples.benchmark())))
    assert page.count("h1") == 1
    assert page.count("caption") == page.count("table") == 3 + 2  # and two on how to reproduce it
    pictures = [a for tag, a in page.tags if tag == "svg"]
    assert len(pictures) == 2 * 3  # every figure wide and narrow
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in pictures)


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_numbers_stand_with_their_units(render: type) -> None:
    text = render(samples.report(samples.benchmark()))
    for shown in ("1,412,682", "595 kB", "97.22 %", "p95 (ms)", "7.36× (7.10×–7.61×)", "16.4 M"):
        assert shown in text


def test_hostile_names_stay_text_in_every_format() -> None:
    report = samples.report(samples.distill(student_name=samples.HOSTILE))
    page = Page(to_html(report))
    assert samples.HOSTILE in page.text
    assert page.count("b") == 0
    markdown = to_markdown(report)
    assert "<script" not in markdown
    assert "\\|\\`x\\`" in markdown


def test_markdown_keeps_names_readable() -> None:
    assert plain("cnn_student _x_\n# a|b <i>") == "cnn_student \\_x\\_ \\# a\\|b &lt;i&gt;"


@pytest.mark.parametrize("kind", FIGURES)
def test_all_files_are_written_and_open(kind: str, tmp_path: Path) -> None:
    report = samples.report(MADE[kind])
    files = {file.name: file for file in render_all(report, tmp_path)}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)
    figures = [file for file in files.values() if file.kind == "figure"]
    assert len(figures) == FIGURES[kind]
    for figure in figures:
        root = ElementTree.fromstring(figure.path.read_bytes())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.attrib["width"]) <= 1128  # the page's column
    assert Report.model_validate_json(files["report.json"].path.read_bytes()) == report
    if FIGURES[kind]:
        with Image.open(io.BytesIO(files["report.png"].path.read_bytes())) as picture:
            assert picture.format == "PNG"
            assert picture.width > 800
        drawing = ElementTree.fromstring(files["report.svg"].path.read_bytes())
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("kind", ["train", "distill", "benchmark"])
def test_narrow_figures_fit_a_phone(kind: str) -> None:
    for chart in samples.report(MADE[kind]).charts:
        root = ElementTree.fromstring(charts.inline_svg(chart, "narrow"))
        assert float(root.attrib["width"]) <= 368  # 400 pixels less the page's margins


def test_long_names_are_cut_rather_than_the_figure_widened() -> None:
    spec, result = samples.benchmark()
    named = [
        model.model_copy(
            update={"facts": model.facts.model_copy(update={"name": f"{i}" + "m" * 99})}
        )
        for i, model in enumerate(result.models)
    ]
    report = samples.report((spec, result.model_copy(update={"models": tuple(named)})))
    for chart in report.charts:
        root = ElementTree.fromstring(charts.inline_svg(chart, "wide"))
        assert float(root.attrib["width"]) <= 1300


def test_command_line_renders_a_report_file(tmp_path: Path) -> None:
    source = tmp_path / "report.json"
    source.write_text(samples.report(samples.train()).model_dump_json())
    done = subprocess.run(
        [sys.executable, "-m", "service.reports.render", source, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = [Path(line).name for line in done.stdout.splitlines()]
    suffixes = ("json", "html", "md", "png", "svg")
    figures = ["figure-training.svg", "figure-calibration.svg"]
    assert names == [*(f"report.{suffix}" for suffix in suffixes), *figures]
