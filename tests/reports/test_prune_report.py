"""The report of a pruning."""

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from service.contract.reports import Report
from service.contract.specs import JobResult, JobSpec
from service.reports import charts
from service.reports.html import to_html
from service.reports.key_figures import key_figures
from service.reports.render import render_all
from tests.reports import samples
from tests.reports.pages import Page
from tests.reports.prune_sample import prune, smallest

MADE: dict[str, tuple[JobSpec, JobResult]] = {"full": prune(), "smallest": smallest()}


@pytest.mark.parametrize("case", MADE)
def test_it_survives_json_and_has_a_cell_for_every_column(case: str) -> None:
    report = samples.report(MADE[case])
    assert Report.model_validate_json(report.model_dump_json()) == report
    for table in report.tables:
        for column in table.columns:
            assert any(row.get(column.key) is not None for row in table.rows), column.key


@pytest.mark.parametrize("case", MADE)
def test_its_page_is_whole_and_offline(case: str) -> None:
    page = Page(to_html(samples.report(MADE[case])))
    assert page.stack == []
    assert [address for address in page.fetched if not address.startswith("#")] == []


@pytest.mark.parametrize(("case", "figures"), [("full", 10), ("smallest", 6)])
def test_all_figures_are_drawn_wide_and_narrow(case: str, figures: int, tmp_path: Path) -> None:
    report = samples.report(MADE[case])
    files = render_all(report, tmp_path)
    assert len([file for file in files if file.kind == "figure"]) == figures
    for chart in report.charts:
        for variant, most in (("wide", 1128), ("narrow", 368)):
            root = ElementTree.fromstring(charts.inline_svg(chart, variant))  # type: ignore[arg-type]
            assert float(root.attrib["width"]) <= most, chart.id
    with Image.open(io.BytesIO((tmp_path / "report.png").read_bytes())) as picture:
        assert picture.width > 800


def test_it_names_the_file_whose_size_it_quotes_and_says_that_zeros_are_not_faster() -> None:
    report = samples.report(prune())
    notes = " ".join(report.notes)
    assert "model.sparse.safetensors (420 kB)" in notes
    assert "run no faster" in notes
    assert {h.label: h.value for h in report.highlights}["Size on disk"] == 420_000
    assert "Sizes are those of model.safetensors." in samples.report(smallest()).notes


def test_key_figures_have_both_sizes_and_the_first_speedup() -> None:
    figures = key_figures(prune()[1])
    assert (figures["sparse_bytes"], figures["speedup"]) == (420_000, 2.1)
    assert figures["test_accuracy"] == 350 / 360


def test_only_cut_channels_are_drawn_as_such() -> None:
    spec, result = prune()
    drawn = {chart.id: chart.description for chart in samples.report((spec, result)).charts}
    assert drawn["channels"] == "2 of 3 layers have fewer outputs."
    assert "75.00 % of the parameters went" in drawn["steps"]
    whole = tuple(
        layer.model_copy(update={"channels_after": layer.channels_before})
        for layer in result.layers
    )
    zeros = samples.report((spec, result.model_copy(update={"layers": whole})))
    drawn = {chart.id: chart.description for chart in zeros.charts}
    assert "channels" not in drawn
    assert "75.00 % of the weights went" in drawn["steps"]
