"""Quantisation with fine-tuning, from spec to graph."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from service.contract.quantize import QuantizeSpec
from service.contract.quantize_result import QuantizeResult
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import DATASET, TEACHERS, MakeJob
from worker.engine.errors import Stopped, UnsupportedDevice
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, save_folder
from worker.handlers.common import Job
from worker.handlers.quantize import quantize

TUNING = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2}
AWARE: dict[str, Any] = {
    "kind": "quantize", "model": TEACHERS[0], "latency_batch_sizes": [], "finetune": TUNING,
}  # fmt: skip


def quantized(job: Job) -> QuantizeResult:
    assert job.spec.kind == "quantize"
    result = quantize(job, job.spec).result
    assert isinstance(result, QuantizeResult)
    return result


def spoilt(job: Job) -> Job:
    """The same job on a network that compares the means of the channels, whose hidden unit 3 is
    off: beside its weight of 10 to the first output those of 0.03 round to nothing."""
    config = ModelConfig("mlp", 3, (3, 4, 4), (0.4,) * 3, (0.2,) * 3, options={"hidden": [16]})
    module = build(config)
    weights = {name: torch.zeros_like(tensor) for name, tensor in module.state_dict().items()}
    for channel in range(3):
        weights["layers.0.weight"][channel, 16 * channel : 16 * channel + 16] = 1 / 16
        weights["layers.0.bias"][channel] = 5.0
        weights["layers.3.weight"][channel, channel] = 0.03
    weights["layers.0.bias"][3] = -1.0
    weights["layers.3.weight"][:, 3] = 10.0
    module.load_state_dict(weights)
    save_folder(module, config, job.folder / "teacher-0", card="")
    return job


def test_fine_tuning_repairs_a_network_that_int8_hurts(make_job: MakeJob) -> None:
    job = spoilt(make_job(Recorder(), **AWARE))
    result = quantized(job)
    tuning = result.finetuning
    assert tuning is not None
    assert result.original_validation.accuracy > 0.9
    assert tuning.before.accuracy < 0.5
    assert tuning.after.accuracy > 0.9
    assert tuning.is_kept
    assert result.validation == tuning.after
    assert len(tuning.history) == 4
    assert all(one.is_quantized for one in result.layers)


def test_a_resumed_fine_tuning_ends_with_the_graph_of_an_uninterrupted_one(
    make_job: MakeJob,
) -> None:
    whole = make_job(Recorder(), **AWARE)
    quantized(whole)
    stopped = Recorder(stop_at_question=11)  # in the third epoch, where ranges stand still
    job = make_job(stopped, **AWARE)
    with pytest.raises(Stopped):
        quantized(job)
    resumed = make_job(Recorder(), checkpoint=stopped.checkpoints[-1], **AWARE)
    result = quantized(resumed)
    assert result.finetuning is not None
    assert len(result.finetuning.history) == 4
    one, other = ((run.folder / "model" / "model.onnx").read_bytes() for run in (whole, resumed))
    assert one.replace(whole.folder.name.encode(), b"") == other.replace(
        resumed.folder.name.encode(), b""
    )


def spec(**changes: Any) -> QuantizeSpec:
    return QuantizeSpec.model_validate({**AWARE, "dataset": DATASET, **changes})


def test_fine_tuning_takes_torchao_where_no_tool_is_named() -> None:
    for method in ({"name": "static_int8"}, {"name": "static_int8", "tool": "torchao"}):
        assert spec(method=method).method.model_dump()["tool"] == "torchao"
    assert spec().method.model_dump()["tool"] == "torchao"
    assert spec().needs_weights
    assert spec(finetune=None).method.model_dump()["tool"] == "onnxruntime"


@pytest.mark.parametrize(
    "method", [{"name": "static_int8", "tool": "nncf"}, {"name": "dynamic_int8"}, {"name": "fp16"}]
)
def test_fine_tuning_by_another_tool_is_refused_at_its_field(method: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="static_int8 with the tool torchao") as refused:
        spec(method=method)
    assert [error["loc"] for error in refused.value.errors()] == [("finetune",)]


def test_fp8_is_refused_before_any_work_where_no_unit_has_it(make_job: MakeJob) -> None:
    recorder = Recorder()
    job = make_job(recorder, **{**AWARE, "finetune": None}, method={"name": "static_fp8"})
    with pytest.raises(UnsupportedDevice, match="needs a GPU"):
        quantized(job)
    assert recorder.phases == []
