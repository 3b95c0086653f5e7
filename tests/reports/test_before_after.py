"""The table and the figures that every report of a compressing job has."""

import pytest

from service.contract.reports import Chart, Report, Table
from service.contract.specs import JobResult, JobSpec
from service.reports import show
from tests.reports import samples
from tests.reports.prune_sample import prune, smallest
from tests.reports.test_graph_reports import quantize

MADE: dict[str, tuple[JobSpec, JobResult]] = {
    "distill": samples.distill(),
    "prune": prune(),
    "quantize": quantize(),
}


def summary(report: Report) -> Table:
    (found,) = [table for table in report.tables if table.id == "summary"]
    assert found == report.tables[0]
    return found


def shown(report: Report) -> dict[str, list[str]]:
    return {figure: cells for figure, *cells in show.shown_rows(summary(report))}


def chart(report: Report, ident: str) -> Chart:
    return next(one for one in report.charts if one.id == ident)


@pytest.mark.parametrize("kind", MADE)
def test_one_table_of_three_columns_has_every_figure(kind: str) -> None:
    report = samples.report(MADE[kind])
    titles = [column.title for column in summary(report).columns]
    assert titles == ["Figure", "Baseline", "Compressed", "Change"]
    figures = set(shown(report))
    assert {"Parameters", "MACs of one input", "Size on disk", "Test accuracy"} <= figures
    assert {"Test loss", "Calibration error", "Accuracy retention", "Cold start"} <= figures
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_figure_has_its_unit_and_says_which_way_it_went() -> None:
    rows = shown(samples.report(samples.distill()))
    assert rows["Parameters"] == ["1,412,682", "148,330", "9.52× fewer"]
    assert rows["Size on disk"] == ["5.65 MB", "595 kB", "9.51× smaller"]
    assert rows["Test accuracy"] == ["97.78 %", "97.22 %", "−0.56 points"]
    assert rows["Same top prediction on the test split"] == ["–", "–", "98.33 %"]
    timed = rows["p50, batch 1, eager"]
    assert timed == ["4.20 ms", "2.00 ms", "2.10× as fast (2.00×–2.20×)"]


def test_what_grew_is_told_as_more() -> None:
    rows = shown(samples.report(quantize()))
    assert rows["Parameters"][2] == "1.00×"  # 2,318 more of 1,412,682
    assert rows["Smallest weights file"] == ["5.65 MB", "1.47 MB", "3.84× smaller"]


def test_two_runtimes_are_both_named() -> None:
    rows = shown(samples.report(quantize()))
    label = "p50, batch 1, eager → onnxruntime"
    assert rows[label][2] == "5.25× as fast (5.15×–5.35×)"


def test_an_interval_that_is_wide_is_said_to_be_noise() -> None:
    spec, result = samples.distill()
    assert "not quiet" not in " ".join(samples.report((spec, result)).notes)
    found = result.comparison
    assert found is not None
    noisy = found.latencies[1].model_copy(update={"low": 1.6, "high": 6.5})
    changed = found.model_copy(update={"latencies": (found.latencies[0], noisy)})
    report = samples.report((spec, result.model_copy(update={"comparison": changed})))
    assert "by its middle (batch 32, eager)." in " ".join(report.notes)


def test_what_was_not_measured_has_no_row_and_no_figure() -> None:
    report = samples.report(smallest())
    assert not [figure for figure in shown(report) if figure.startswith("p50")]
    assert "latency" not in {one.id for one in report.charts}


def test_what_is_left_is_drawn_as_shares_of_the_baseline() -> None:
    spec = chart(samples.report(samples.distill()), "remaining").spec
    left = {row["bar"]: row["value"] for row in spec["layer"][0]["data"]["values"]}
    assert left["parameters"] == pytest.approx(148_330 / 1_412_682, rel=1e-5)
    assert left["time,\nbatch 32"] == pytest.approx(1 / 3.4, rel=1e-5)


def test_a_class_without_examples_is_left_out_of_the_changes() -> None:
    spec = chart(samples.report(samples.distill()), "class-changes").spec
    changes = {row["bar"]: row["value"] for row in spec["data"]["values"]}
    assert (len(changes), changes["9"], "8" in changes) == (9, -2.0, False)


def test_calibration_is_drawn_from_the_bins_of_both() -> None:
    spec = chart(samples.report(samples.distill()), "calibration").spec
    values = spec["concat"][0]["layer"][0]["data"]["values"]
    assert len(values) == 2 * 4
    assert values[3] == {
        "model": "cnn_teacher", "confidence": 0.99, "accuracy": 0.9967,
        "share": pytest.approx(300 / 360, rel=1e-5),
    }  # fmt: skip
