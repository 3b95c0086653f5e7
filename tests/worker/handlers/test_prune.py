"""Pruning jobs from spec to saved model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from service.contract.prune import PruneSpec
from service.contract.prune_result import PruneResult
from service.contract.specs import PlanResult
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import TEACHERS, MakeJob
from worker.engine.errors import NotPrunable, Stopped, TargetNotReached
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, save_folder
from worker.handlers import handle
from worker.handlers.common import Job
from worker.handlers.plan import plan
from worker.handlers.prune import prune
from worker.order import KnownFile

TUNING = {"epochs": 2, "batch_size": 16}
PRUNE: dict[str, Any] = {"kind": "prune", "model": TEACHERS[0], "latency_batch_sizes": []}


def pruned(job: Job) -> PruneResult:
    assert job.spec.kind == "prune"
    result = prune(job, job.spec).result
    assert isinstance(result, PruneResult)
    return result


def with_resnet(job: Job) -> Job:
    """The same job on a network with batch norm and a residual stream."""
    config = ModelConfig("cifar_resnet8", 3, (3, 4, 4), (0.4,) * 3, (0.2,) * 3)
    torch.manual_seed(0)
    save_folder(build(config), config, job.folder / "teacher-0", card="")
    return job


def outputs(folder: Path) -> Tensor:
    with torch.no_grad():
        out: Tensor = load_folder(folder).module(torch.ones(2, 3, 4, 4))
    return out


def test_structured_pruning_halves_the_hidden_layer(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **PRUNE, finetune=TUNING)
    result = pruned(job)
    # 48·h + h, then h·3 + 3, for 16 and for 8.
    assert (result.original.parameters, result.facts.parameters) == (835, 419)
    assert result.compression_ratio == pytest.approx(835 / 419)
    assert [stage.stage for stage in result.stages] == ["original", "cut", "finetuned"]
    assert [(one.channels_before, one.channels_after) for one in result.layers] == [(16, 8), (3, 3)]
    assert result.layers[0].macs == 48 * 16
    assert result.sparse_bytes is None
    assert (result.best_epoch or 0) >= 1
    assert set(result.history[0].losses) == {"total", "hard", "soft"}
    config = json.loads((job.folder / "model" / "config.json").read_text())
    assert config["compression"][0]["cuts"][0]["of"] == 16


def test_a_pruned_resnet_reports_every_stage_and_reloads(make_job: MakeJob) -> None:
    job = with_resnet(make_job(Recorder(), **PRUNE, finetune=TUNING))
    result = pruned(job)
    assert [stage.stage for stage in result.stages] == [
        "original", "cut", "recalibrated", "finetuned"
    ]  # fmt: skip
    assert result.stages[-1].test == result.test
    assert all(len(stage.test.per_class_accuracy) == 3 for stage in result.stages)
    assert result.macs_ratio is not None
    assert result.macs_ratio > 3
    assert outputs(job.folder / "model").shape == (2, 3)


def test_masks_leave_the_shape_and_make_a_sparse_file(make_job: MakeJob) -> None:
    method = {"name": "unstructured", "sparsity": 0.75}
    job = make_job(Recorder(), **PRUNE, method=method, finetune=TUNING, allocation="global")
    result = pruned(job)
    assert result.facts.parameters == 835
    # Of 48·16 + 16·3 weights a quarter stays, and all 19 biases.
    assert result.facts.nonzero_parameters == 816 // 4 + 19
    assert sum(layer.zeros for layer in result.layers) == 612
    assert result.steps[0].sparsity == pytest.approx(0.75, abs=1e-3)
    folder = job.folder / "model"
    assert result.sparse_bytes == (folder / "model.sparse.safetensors").stat().st_size
    assert result.size_ratio == result.sparse_bytes / result.original.size_bytes
    dense = outputs(folder)
    (folder / "model.safetensors").unlink()
    assert torch.equal(outputs(folder), dense)


@pytest.mark.parametrize(
    "method",
    [
        {"name": "n_m", "n": 2, "m": 4},
        {"name": "structured_mask", "pruning_ratio": 0.5},
        {"name": "structured", "importance": "taylor", "round_to": 4},
        {"name": "structured", "importance": "hessian"},
        {"name": "structured", "importance": "random", "layer_ratios": {"layer3.*": 0.25}},
    ],
)
def test_every_method_makes_a_model_that_reloads(make_job: MakeJob, method: dict[str, Any]) -> None:
    job = with_resnet(make_job(Recorder(), **PRUNE, method=method, finetune=None))
    result = pruned(job)
    assert result.facts.nonzero_parameters < 0.8 * result.original.nonzero_parameters
    assert result.best_epoch is None
    assert outputs(job.folder / "model").shape == (2, 3)


def test_adaptive_allocation_reports_its_curves_and_spares_as_many_macs(
    make_job: MakeJob,
) -> None:
    job = with_resnet(make_job(Recorder(), **PRUNE, allocation="adaptive", finetune=None))
    adaptive = pruned(job)
    uniform = pruned(with_resnet(make_job(Recorder(), **PRUNE, finetune=None)))
    assert adaptive.facts.macs is not None
    assert uniform.facts.macs is not None
    assert adaptive.facts.macs <= uniform.facts.macs
    assert len(adaptive.sensitivity) == 6  # three streams, three blocks
    assert adaptive.sensitivity[0].ratios[0] == 0


def test_a_scan_is_left_for_later_jobs_which_do_not_scan_again(make_job: MakeJob) -> None:
    changes = {"allocation": "adaptive", "finetune": None}

    def knowing(path: str | None) -> Job:
        job = with_resnet(make_job(Recorder(), **PRUNE, **changes))
        known = KnownFile(name="sensitivity-1.json", path=path)
        return replace(job, order=job.order.model_copy(update={"sensitivity": known}))

    first = knowing(None)
    outcome = prune(first, cast("PruneSpec", first.spec))
    assert [(file.name, file.kind) for file in outcome.files] == [
        ("sensitivity-1.json", "sensitivity")
    ]
    curves = json.loads((first.folder / "sensitivity-1.json").read_text())
    curves[0]["accuracies"][0] = 0.125  # which no scan would find again
    second = knowing("known.json")
    (second.folder / "known.json").write_text(json.dumps(curves))
    again = prune(second, cast("PruneSpec", second.spec))
    assert isinstance(again.result, PruneResult)
    assert again.result.sensitivity[0].accuracies[0] == 0.125
    assert again.files == ()


def test_a_job_that_was_stopped_goes_on_to_the_same_weights(make_job: MakeJob) -> None:
    tuning = {"epochs": 4, "batch_size": 16}
    whole = make_job(Recorder(), **PRUNE, finetune=tuning)
    pruned(whole)
    recorder = Recorder(stop_at_question=7)
    stopped = make_job(recorder, **PRUNE, finetune=tuning)
    with pytest.raises(Stopped):
        pruned(stopped)
    resumed = make_job(Recorder(), checkpoint=recorder.checkpoints[-1], **PRUNE, finetune=tuning)
    pruned(resumed)
    assert (resumed.folder / "model" / "model.safetensors").read_bytes() == (
        whole.folder / "model" / "model.safetensors"
    ).read_bytes()


def test_the_plan_says_what_would_go_without_training(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **PRUNE, finetune=TUNING, dry_run=True)
    result = plan(job).result
    assert isinstance(result, PlanResult)
    assert [model.parameters for model in result.models] == [835, 419]
    assert [(one.channels_before, one.channels_after) for one in result.layers] == [(16, 8)]
    assert all((model.latency_ms or 0) > 0 for model in result.models)
    assert result.steps == 2 * 4  # epochs of 60 examples in batches of 16


def test_a_ratio_that_leaves_nothing_names_the_layer(make_job: MakeJob) -> None:
    method = {"name": "structured", "pruning_ratio": 0.96, "max_pruning_ratio": 1.0}
    job = make_job(Recorder(), **PRUNE, method=method)
    with pytest.raises(NotPrunable, match=r"layers\.0"):
        pruned(job)


def test_the_report_is_drawn_with_its_figures(make_job: MakeJob) -> None:
    job = with_resnet(
        make_job(
            Recorder(),
            **{**PRUNE, "latency_batch_sizes": [1]},
            finetune={"epochs": 1},
            allocation="adaptive",
        )
    )
    product = handle(job.order, job.folder, job.observer)
    assert product.metrics["speedup"] > 0
    assert {"report.html", "figure-layers.svg", "figure-sensitivity.svg"} <= {
        file.name for file in product.files
    }


def test_a_target_of_parameters_is_met_by_the_smallest_cut(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **PRUNE, targets={"parameters": 0.4}, finetune={"epochs": 1})
    result = pruned(job)
    # h hidden units have 52·h + 3 parameters: 334 allow 6.
    assert result.facts.parameters == 52 * 6 + 3
    assert [(one.name, one.asked) for one in result.targets] == [("parameters", 0.4)]
    assert result.targets[0].reached == pytest.approx(315 / 835)


def test_a_target_of_bytes_holds_for_the_sparse_file(make_job: MakeJob) -> None:
    method = {"name": "unstructured"}
    job = make_job(
        Recorder(), **PRUNE, method=method, targets={"size_bytes": 2000}, finetune={"epochs": 1}
    )
    result = pruned(job)
    assert result.sparse_bytes is not None
    assert result.sparse_bytes <= 2000


def test_accuracy_asks_for_the_largest_cut_that_keeps_it(make_job: MakeJob) -> None:
    some = pruned(
        make_job(
            Recorder(), **PRUNE, targets={"max_accuracy_drop_points": 100.0}, finetune={"epochs": 1}
        )
    )
    # Any loss is allowed: one of sixteen hidden units is left, the limit of 0.95.
    assert some.facts.parameters == 52 + 3
    assert some.targets[0].reached <= 100


def test_a_promise_that_cannot_be_kept_says_what_was_reached(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **PRUNE, targets={"parameters": 0.01}, finetune=None)
    with pytest.raises(TargetNotReached, match=r"leaves 0\.0659 of the parameters"):
        pruned(job)  # 55 of 835


def test_a_speedup_that_cannot_be_had_is_measured_and_told(make_job: MakeJob) -> None:
    job = make_job(Recorder(), **PRUNE, targets={"min_speedup": 1000.0}, finetune=None)
    with pytest.raises(TargetNotReached, match="times faster"):
        pruned(job)


def test_a_sweep_compares_amounts_and_keeps_one(make_job: MakeJob) -> None:
    method = {"name": "structured", "pruning_ratio": [0.25, 0.5, 0.75]}
    job = make_job(Recorder(), **PRUNE, method=method, finetune={"epochs": 1})
    result = pruned(job)
    assert [point.parameters for point in result.sweep] == [52 * h + 3 for h in (12, 8, 4)]
    kept = [point for point in result.sweep if point.is_kept]
    assert len(kept) == 1
    assert kept[0].amount == result.amount
    assert kept[0].parameters == result.facts.parameters
    assert kept[0].test_accuracy == result.test.accuracy


@pytest.mark.parametrize("name", ["group_norm", "growing_reg"])
def test_weak_channels_are_made_weaker_before_the_cut(make_job: MakeJob, name: str) -> None:
    job = make_job(
        Recorder(),
        **PRUNE,
        sparsify={"name": name, "strength": 0.5, "epochs": 2},
        finetune={"epochs": 1, "optimizer": "sgd", "learning_rate": 0.05},
    )
    result = pruned(job)
    assert result.facts.parameters == 419
    plain = pruned(make_job(Recorder(), **PRUNE, finetune=None))
    # What is cut was made small: less is lost than without.
    assert result.stages[1].test.loss != plain.stages[1].test.loss
