"""Quantisation jobs from spec to graph."""

import json
from typing import Any

import pytest
import torch

from service.contract.quantize_result import QuantizeResult
from service.contract.specs import PlanResult
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import TEACHERS, MakeJob
from worker.engine.errors import NotQuantizable, TargetNotReached
from worker.engine.models.folder import build, load_any, read_config, save_folder
from worker.engine.models.graph import Graph
from worker.handlers import handle
from worker.handlers.common import Job
from worker.handlers.plan import plan
from worker.handlers.quantize import _kept, quantize

QUANTIZE: dict[str, Any] = {
    "kind": "quantize",
    "model": TEACHERS[0],
    "latency_batch_sizes": [],
}


def quantized(job: Job) -> QuantizeResult:
    assert job.spec.kind == "quantize"
    result = quantize(job, job.spec).result
    assert isinstance(result, QuantizeResult)
    return result


def test_static_int8_makes_a_graph_that_is_judged_as_it_was_saved(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **{**QUANTIZE, "latency_batch_sizes": [2]}, sensitivity=True)
    product = handle(job.order, job.folder, job.observer)
    result = product.result
    assert isinstance(result, QuantizeResult)
    assert product.model is not None
    assert (product.model.form, product.model.architecture) == ("graph", "onnx")
    assert product.model.parent == TEACHERS[0]
    assert isinstance(load_any(job.folder / "model").module, Graph)
    assert result.facts.size_bytes == (job.folder / "model" / "model.onnx").stat().st_size
    # 60 training examples, in full batches of 64 or one smaller one.
    assert result.calibration_samples == 60
    assert [(one.weights, one.is_quantized) for one in result.layers] == [(768, True), (48, True)]
    assert all(one.sensitivity is not None for one in result.layers)
    assert [one.batch_size for one in result.latencies] == [2]
    assert result.agreement > 0.9
    steps = json.loads((job.folder / "model" / "config.json").read_text())["compression"]
    assert steps[0]["kind"] == "quantize"
    assert steps[0]["of"]["architecture"] == "mlp"
    assert "onnxruntime.InferenceSession" in (job.folder / "model" / "README.md").read_text()
    assert "onnxruntime" in (job.folder / "out" / "report.md").read_text()


@pytest.mark.parametrize("name", ["dynamic_int8", "weight_only_int8", "fp16", "bf16"])
def test_every_other_method_makes_a_graph_too(name: str, make_job: MakeJob) -> None:
    result = quantized(make_job(Recorder(), **QUANTIZE, method={"name": name}))
    assert result.method == name
    assert all(one.is_quantized for one in result.layers)
    assert result.agreement > 0.9
    assert result.calibration_samples == 0


def test_ignored_layers_stay_float(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **QUANTIZE, ignored_layers=["layers.0"])
    kept = {one.name: one.is_quantized for one in quantized(job).layers}
    assert kept == {"layers.0": False, "layers.3": True}


def test_a_layer_that_does_not_exist_is_named(make_job: MakeJob) -> None:
    with pytest.raises(NotQuantizable, match="no layer is named 'nothing'"):
        quantized(make_job(Recorder(), **QUANTIZE, ignored_layers=["nothing"]))


def test_a_target_is_held_against_the_saved_graph(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **QUANTIZE, targets={"max_accuracy_drop_points": 100})
    (target,) = quantized(job).targets
    assert target.name == "max_accuracy_drop_points"
    assert target.reached <= 100


def with_weights(job: Job, dead_weight: float, loud: float) -> Job:
    """The same job on a network that compares the means of the channels, with hidden unit 3.

    `dead_weight` leads from it to every output, but it is off; with `loud` above 0 it is on, and
    so much louder than the others.
    """
    config = read_config(job.folder / "teacher-0")
    module = build(config)
    weights = {name: torch.zeros_like(tensor) for name, tensor in module.state_dict().items()}
    for channel in range(3):
        weights["layers.0.weight"][channel, 16 * channel : 16 * channel + 16] = 1 / 16
        weights["layers.0.bias"][channel] = 5.0
        weights["layers.3.weight"][channel, channel] = 1.0
    weights["layers.0.bias"][3] = loud or -1.0
    weights["layers.3.weight"][:, 3] = dead_weight
    module.load_state_dict(weights)
    save_folder(module, config, job.folder / "teacher-0", card="")
    return job


def test_the_worst_layer_stays_float_where_the_target_asks_for_it(make_job: MakeJob) -> None:
    # One scale an output: beside 10,000 the weight of 1 rounds to nothing.
    spoilt = {"dead_weight": 1e4, "loud": 0.0}
    alone = quantized(with_weights(make_job(Recorder(), **QUANTIZE), **spoilt))
    assert alone.original_validation.accuracy > 0.9
    assert alone.validation.accuracy < 0.5
    job = make_job(Recorder(), **QUANTIZE, targets={"max_accuracy_drop_points": 5})
    result = quantized(with_weights(job, **spoilt))
    assert {one.name: one.is_quantized for one in result.layers} == {
        "layers.0": True, "layers.3": False
    }  # fmt: skip
    assert (result.layers[1].sensitivity or 0) > 0.5 > (result.layers[0].sensitivity or 0)
    assert result.validation.accuracy > 0.9
    assert "layers.3" in result.warnings[-1]


def test_a_target_that_no_single_layer_in_int8_keeps_is_a_failure(make_job: MakeJob) -> None:
    # The value between the two layers spans 10,000 in 256 steps, whichever of them is in int8.
    job = make_job(Recorder(), **QUANTIZE, targets={"max_accuracy_drop_points": 0})
    with pytest.raises(TargetNotReached, match="one layer in int8"):
        quantized(with_weights(job, dead_weight=0.0, loud=1e4))


def test_the_plan_names_the_method(make_job: MakeJob) -> None:
    result = plan(make_job(Recorder(), **QUANTIZE, dry_run=True)).result
    assert isinstance(result, PlanResult)
    assert "static_int8" in result.summary


def test_a_target_that_is_met_to_the_last_bit_is_kept(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **QUANTIZE, targets={"max_accuracy_drop_points": 1})
    assert job.spec.kind == "quantize"
    drop = 100 * (0.95 - 0.94)  # 1.0000000000000009
    assert [one.reached for one in _kept(job.spec, drop)] == [drop]
    with pytest.raises(TargetNotReached):
        _kept(job.spec, 1.01)
