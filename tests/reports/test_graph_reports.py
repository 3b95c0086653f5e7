"""The reports of an export and of a quantisation."""

import pytest

from service.contract.export import (
    ExportedModel,
    ExportParity,
    ExportResult,
    ExportSpec,
    SkippedExport,
)
from service.contract.quantize import QuantizeSpec
from service.contract.quantize_result import (
    AwareTraining,
    QuantizedLatency,
    QuantizedLayer,
    QuantizeResult,
)
from service.contract.reports import Report
from service.contract.specs import JobResult, JobSpec
from service.reports.html import to_html
from service.reports.key_figures import key_figures
from tests.reports import samples
from tests.reports.before_after_sample import before_after, timed
from tests.reports.pages import Page


def export() -> tuple[JobSpec, JobResult]:
    spec = ExportSpec.model_validate(
        {"kind": "export", "model": samples.TEACHER, "formats": ["onnx", "executorch"]}
    )
    parity = ExportParity(
        samples=64,
        data="random",
        max_abs_difference=1.24e-5,
        mean_abs_difference=2e-6,
        agreement=63 / 64,
        tolerance=1e-3,
    )
    exported = ExportedModel(
        format="onnx",
        file="model.onnx",
        size_bytes=5_650_000,
        sha256="ab" * 32,
        runtime="onnxruntime 1.32.0",
        opset=20,
        parity=parity,
    )
    result = ExportResult(
        source=samples.TEACHER_FACTS,
        exports=(exported,),
        skipped=(SkippedExport(format="executorch", reason="there is no ExecuTorch"),),
        data=None,
        environment=samples.ENVIRONMENT,
        seed=0,
    )
    return spec, result


def quantize() -> tuple[JobSpec, JobResult]:
    spec = QuantizeSpec.model_validate(
        {"kind": "quantize", "model": samples.TEACHER, "dataset": "digits"}
    )
    made = samples.facts(samples.STUDENT, "cnn_teacher-static_int8", "onnx", 1_415_000, 153_418_752)
    result = QuantizeResult(
        model=samples.STUDENT,
        method="static_int8",
        runtime="onnxruntime 1.32.0",
        facts=made,
        original=samples.TEACHER_FACTS,
        float_bytes=5_650_000,
        size_ratio=0.26,
        accuracy_retention=351 / 352,
        accuracy_change_points=-100 / 360,
        class_change_points=(0.0,) * 8 + (None, -2.0),
        agreement=0.995,
        layers=(
            QuantizedLayer(
                name="conv", operator="Conv", weights=1728, is_quantized=False, sensitivity=0.02
            ),
            QuantizedLayer(name="head", operator="Gemm", weights=5120, is_quantized=True),
        ),
        calibration_samples=512,
        latencies=(
            QuantizedLatency(
                batch_size=1,
                float_p50_ms=2.0,
                quantized_p50_ms=0.8,
                speedup=2.5,
                low=2.4,
                high=2.6,
            ),
        ),
        validation=samples.evaluation(351),
        original_validation=samples.evaluation(352),
        test=samples.evaluation(351),
        original_test=samples.evaluation(352),
        data=samples.DATA,
        environment=samples.ENVIRONMENT,
        seed=0,
        comparison=before_after(
            (samples.TEACHER_FACTS, samples.evaluation(352)),
            (made, samples.evaluation(351)),
            timed(1, 2.0, 2.5, "onnxruntime", "onnxruntime"),
            timed(1, 4.2, 5.25, "eager", "onnxruntime"),
            stored_bytes=1_470_000,
        ),
    )
    return spec, result


def finetuned() -> tuple[JobSpec, JobResult]:
    """The same, after two epochs with the rounding."""
    spec, result = quantize()
    assert isinstance(result, QuantizeResult)
    tuning = AwareTraining(
        before=samples.evaluation(330),
        after=samples.evaluation(351),
        test_before=samples.evaluation(333),
        is_kept=True,
        history=samples.history(2, distilled=True),
        best_epoch=2,
        training_s=12.5,
    )
    return spec, result.model_copy(update={"finetuning": tuning})


MADE = {"export": export(), "quantize": quantize()}


@pytest.mark.parametrize("kind", MADE)
def test_it_survives_json_and_its_page_is_whole_and_offline(kind: str) -> None:
    report = samples.report(MADE[kind])
    assert Report.model_validate_json(report.model_dump_json()) == report
    page = Page(to_html(report))
    assert page.stack == []
    assert [address for address in page.fetched if not address.startswith("#")] == []
    for table in report.tables:
        for column in table.columns:
            assert any(row.get(column.key) is not None for row in table.rows), column.key


def test_an_export_says_how_far_answers_differ_and_what_was_skipped() -> None:
    report = samples.report(MADE["export"])
    assert "no logit differs by more than 1.2e-05" in report.headline
    assert "98.44 %" in report.headline
    assert any("random inputs" in note for note in report.notes)
    skipped = next(table for table in report.tables if table.id == "skipped")
    assert skipped.rows[0]["format"] == "executorch"
    assert report.provenance.data is None


def test_a_quantisation_says_what_its_speed_is_against() -> None:
    report = samples.report(MADE["quantize"])
    assert "26.00 % of the bytes" in report.headline
    assert "2.50× the speed of the same graph in float32 (batch 1)" in report.headline
    layers = next(table for table in report.tables if table.id == "layers")
    assert [row["kept"] for row in layers.rows] == ["float32", "static_int8"]
    assert all(table.id != "finetuning" for table in report.tables)
    figures = key_figures(MADE["quantize"][1])
    assert (figures["speedup"], figures["size_ratio"]) == (2.5, 0.26)


def test_an_export_draws_the_share_of_the_tolerance_that_was_used() -> None:
    (chart,) = samples.report(MADE["export"]).charts
    (row,) = chart.spec["concat"][0]["data"]["values"]
    assert row["value"] == pytest.approx(0.0124)


def test_training_with_the_rounding_is_told_step_by_step() -> None:
    report = samples.report(finetuned())
    (table,) = (table for table in report.tables if table.id == "finetuning")
    assert "2 epochs" in table.title
    validation = [row["validation"] for row in table.rows]
    assert validation == [352 / 360, 330 / 360, 351 / 360, 351 / 360]
    assert [row["test"] for row in table.rows] == [352 / 360, 333 / 360, None, 351 / 360]
