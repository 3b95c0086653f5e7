"""Export jobs from spec to files."""

import hashlib
from typing import Any

import onnx
import pytest

from service.contract.export import ExportResult
from service.contract.specs import PlanResult
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import DATASET, TEACHERS, MakeJob
from worker.engine.errors import RuntimeMissing
from worker.handlers import handle
from worker.handlers.common import Job, Outcome
from worker.handlers.export import export
from worker.handlers.plan import plan

EXPORT: dict[str, Any] = {"kind": "export", "model": TEACHERS[0]}


def exported(job: Job) -> tuple[ExportResult, Outcome]:
    assert job.spec.kind == "export"
    outcome = export(job, job.spec)
    assert isinstance(outcome.result, ExportResult)
    return outcome.result, outcome


def test_files_are_compared_over_the_validation_split_and_named_by_the_model(
    make_job: MakeJob,
) -> None:
    job = make_job(Recorder(), **EXPORT, formats=["onnx", "openvino"])
    result, outcome = exported(job)
    assert [one.format for one in result.exports] == ["onnx", "openvino"]
    assert [file.name for file in outcome.files] == [
        f"{TEACHERS[0]}.onnx", f"{TEACHERS[0]}.openvino.zip"
    ]  # fmt: skip
    for one, file in zip(result.exports, outcome.files, strict=True):
        content = (job.folder / file.path).read_bytes()
        assert one.sha256 == hashlib.sha256(content).hexdigest()
        assert one.size_bytes == len(content)
        assert (one.parity.samples, one.parity.data) == (30, "validation")
        assert one.parity.agreement == 1
    model = onnx.load(job.folder / outcome.files[0].path)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["modelpress.job"] == job.order.job_id
    assert facts["modelpress.sha256"] == result.source.sha256
    assert result.exports[0].opset == model.opset_import[0].version


def test_without_data_it_compares_on_random_inputs_and_the_report_says_so(
    make_job: MakeJob,
) -> None:
    job = make_job(Recorder(), **EXPORT, dataset=None, formats=["pt2", "executorch"])
    product = handle(job.order, job.folder, job.observer)
    assert isinstance(product.result, ExportResult)
    (one,) = product.result.exports
    assert (one.format, one.parity.data) == ("pt2", "random")
    (skipped,) = product.result.skipped
    assert (skipped.format, skipped.code) == ("executorch", "runtime_missing")
    assert product.model is None
    page = (job.folder / "out" / "report.md").read_text()
    assert "random inputs" in page
    assert "ExecuTorch" in page


def test_a_job_that_can_write_nothing_fails(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **EXPORT, formats=["tensorrt"])
    with pytest.raises(RuntimeMissing, match="TensorRT"):
        exported(job)


def test_the_plan_names_formats_and_writes_none(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **EXPORT, formats=["onnx"], dry_run=True)
    result = plan(job).result
    assert isinstance(result, PlanResult)
    assert (result.of, result.steps) == ("export", 1)
    assert DATASET in result.summary
    assert not (job.folder / "out").exists()
