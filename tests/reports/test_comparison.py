"""A comparison as people see it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from service.contract.comparisons import Comparison
from service.contract.reports import Table
from service.reports import charts
from service.reports.documents import DOCUMENTS
from service.reports.html import to_html
from service.reports.markdown import to_markdown
from service.reports.render import main, render_all
from service.reports.text import table_rows
from tests.comparisons import samples
from tests.reports.pages import Page
from tests.reports.samples import HOSTILE

TARGETS = {"min_speedup": 6, "macs": 0.2, "size_bytes": 600_000, "max_accuracy_drop_points": 1}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return samples.everything(targets=TARGETS)


def table_of(comparison: Comparison, ident: str) -> Table:
    return next(table for table in comparison.tables if table.id == ident)


def shown(comparison: Comparison, ident: str) -> list[dict[str, str]]:
    """The rows of a table by heading, as text."""
    head, *rows = table_rows(table_of(comparison, ident))
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_what_nobody_measured_is_said_in_words(comparison: Comparison) -> None:
    uploaded = shown(comparison, "summary")[3]
    assert uploaded["Model"] == "#4 uploaded"
    assert uploaded["Parameters"] == "1,000"
    assert uploaded["Test accuracy"] == uploaded["Non-zero"] == "not measured"
    assert uploaded["Targets"] == "not measured"
    assert "not measured" in Page(to_html(comparison)).text


def test_each_device_has_a_column_and_speedups_stay_within_it(comparison: Comparison) -> None:
    rows = shown(comparison, "latency")
    (student,) = (r for r in rows if r["Model"] == "#2 cnn_student" and r["Batch"] == "1")
    assert student["p50, Slow CPU, 2 threads (ms)"] == "0.500"
    assert student["p50, Fast GPU, 2 threads (ms)"] == "0.100"
    assert student["Speed-up, Slow CPU, 2 threads"] == "8.00× (7.50×–8.50×)"
    assert student["Speed-up, Fast GPU, 2 threads"] == "2.00× (1.50×–2.50×)"
    (simple,) = (r for r in rows if r["Model"] == "#3 cnn_simple" and r["Batch"] == "1")
    assert simple["p50, Fast GPU, 2 threads (ms)"] == "not measured"
    assert rows[0]["Speed-up, Slow CPU, 2 threads"] == "baseline"
    assert any("never divided by each other" in note for note in comparison.notes)


def test_targets_say_by_how_much_they_were_missed(comparison: Comparison) -> None:
    rows = {(r["Model"], r["Target"], r["Where"]): r for r in shown(comparison, "targets")}
    lost = rows["#3 cnn_simple", "max_accuracy_drop_points", "–"]
    # 352 − 341 of 360 are 3.06 points, 1 was allowed
    assert (lost["Reached"], lost["Missed by"]) == ("3.06 points", "2.06 points")
    slow = rows["#3 cnn_simple", "min_speedup", "Slow CPU, 2 threads, eager"]
    assert (slow["Asked for"], slow["Reached"]) == ("≥ 6.00×, batch 1", "5.00×")
    assert (slow["Missed by"], slow["Verdict"]) == ("1.00×", "missed")
    share = rows["#2 cnn_student", "macs", "–"]
    assert (share["Reached"], share["Verdict"]) == ("10.66 %", "met")
    assert comparison.headline.startswith("No model is seen to keep every target.")


def test_the_smaller_file_counts_and_both_are_shown(comparison: Comparison) -> None:
    rows = shown(comparison, "summary")
    assert (rows[2]["Size on disk"], rows[2]["Sparse file"]) == ("410 kB", "200 kB")
    assert rows[0]["Sparse file"] == "–"
    against = {row["Model"]: row for row in shown(comparison, "against")}
    assert against["#3 cnn_simple"]["Size after ÷ before"] == "3.54 %"  # 200,000 ÷ 5,651,928


def test_fronts_are_drawn_with_the_models_on_them(comparison: Comparison) -> None:
    # The student has fewer MACs than the simple one and is better: only bytes speak for that.
    rows = {row["Model"]: row["On the front of"] for row in shown(comparison, "summary")}
    assert rows["#1 cnn_teacher"] == rows["#2 cnn_student"] == "latency, size, MACs, parameters"
    assert rows["#3 cnn_simple"] == "size, parameters"
    pareto = comparison.charts[0]
    assert [panel["title"]["text"] for panel in pareto.spec["concat"]] == [
        "Accuracy and latency on device-1, batch 1",
        "Accuracy and latency on device-2, batch 1",
        "Accuracy and size",
        "Accuracy and MACs",
        "Accuracy and parameters",
    ]


def test_page_is_valid_offline_small_and_harmless() -> None:
    source = to_html(samples.everything(student_name=HOSTILE, name=HOSTILE))
    page = Page(source)
    assert page.stack == []
    assert [address for address in page.fetched if not address.startswith("#")] == []
    assert page.count("script") == page.count("b") == 0
    assert HOSTILE in page.text
    assert len(source.encode()) <= 2_000_000
    hostile = samples.everything(student_name=HOSTILE, name=HOSTILE)
    before_code, _, _ = to_markdown(hostile).partition("```")
    assert "<script" not in before_code


def test_figures_fit_a_page_and_a_phone(comparison: Comparison) -> None:
    for chart in comparison.charts:
        wide = ElementTree.fromstring(charts.inline_svg(chart, "wide"))
        assert float(wide.attrib["width"]) <= 1128
        narrow = ElementTree.fromstring(charts.inline_svg(chart, "narrow"))
        assert float(narrow.attrib["width"]) <= 368


def test_a_crowd_of_points_has_labels_on_the_front_only() -> None:
    made = samples.crowd(20)
    (panel,) = (p for p in made.charts[0].spec["concat"] if p["title"]["text"].endswith("MACs"))
    rows = panel["data"]["values"]
    assert len(rows) == 20
    labelled = {number for row in rows for number in row["number"].split(", ") if number}
    on_front = {row["model"].partition(" ")[0] for row in rows if "on the" in row["standing"]}
    assert labelled == on_front
    assert len(on_front) < len(rows)


def test_its_json_can_be_drawn_again(comparison: Comparison, tmp_path: Path) -> None:
    text = comparison.model_dump_json()
    assert DOCUMENTS.validate_json(text) == comparison
    source = tmp_path / "comparison.json"
    source.write_text(text)
    assert main([str(source), str(tmp_path / "drawn")]) == 0
    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert {"report.html", "report.md", "report.png", "figure-pareto.svg"} <= drawn


def test_models_of_which_nothing_is_known_make_a_page_without_figures(tmp_path: Path) -> None:
    bare = samples.everything_bare()
    assert bare.charts == ()
    assert bare.headline == "2 models side by side."
    names = {file.name for file in render_all(bare, tmp_path)}
    assert names == {"report.json", "report.html", "report.md"}
