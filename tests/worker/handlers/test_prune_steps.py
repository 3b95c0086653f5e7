"""Pruning step by step, and what is refused before anything is trained."""

import json
from typing import Any

import pytest

from service.contract.specs import PlanResult
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import MakeJob
from tests.worker.handlers.test_prune import PRUNE, TUNING, outputs, pruned, with_resnet
from worker.engine.errors import NotPrunable, TargetNotReached
from worker.handlers.plan import plan


@pytest.mark.parametrize("name", ["linear", "cubic"])
def test_a_schedule_trains_between_steps_and_keeps_to_its_shares(
    make_job: MakeJob, name: str
) -> None:
    schedule = {"name": name, "initial_sparsity": 0.2, "steps": 3}
    method = {"name": "unstructured", "sparsity": 0.8}
    job = make_job(Recorder(), **PRUNE, method=method, schedule=schedule, finetune={"epochs": 1})
    result = pruned(job)
    wanted = {"linear": [0.4, 0.6, 0.8], "cubic": [0.8 - 0.6 * 8 / 27, 0.8 - 0.6 / 27, 0.8]}[name]
    assert [step.asked for step in result.steps] == pytest.approx(wanted)
    assert [step.sparsity for step in result.steps] == pytest.approx(wanted, abs=1e-3)


def test_channels_go_step_by_step_too(make_job: MakeJob) -> None:
    schedule = {"name": "linear", "steps": 2}
    job = with_resnet(make_job(Recorder(), **PRUNE, schedule=schedule, finetune={"epochs": 1}))
    result = pruned(job)
    # A quarter of 16 first, then a third of 12.
    assert result.layers[0].channels_after == 8
    config = json.loads((job.folder / "model" / "config.json").read_text())
    assert len(config["compression"]) == 2
    assert outputs(job.folder / "model").shape == (2, 3)


def test_steps_together_take_no_more_than_the_limits_of_single_layers(make_job: MakeJob) -> None:
    method = {
        "name": "structured",
        "pruning_ratio": 0.75,
        "layer_ratios": {"layer2.*": 0.25},
        "max_pruning_ratio": 0.6,
    }
    schedule = {"name": "linear", "steps": 3}
    job = with_resnet(
        make_job(Recorder(), **PRUNE, method=method, schedule=schedule, finetune={"epochs": 1})
    )
    left = {one.name: (one.channels_before, one.channels_after) for one in pruned(job).layers}
    # Of 16 channels at least 6.4 stay, of 32 with their own ratio 24, of 64 at least 25.6.
    assert left["layer1.0.conv1"] == (16, 7)
    assert left["layer2.0.conv1"] == (32, 24)
    assert left["layer3.0.conv1"] == (64, 26)


def test_a_step_of_less_than_a_channel_waits_for_the_next(make_job: MakeJob) -> None:
    method = {"name": "structured", "pruning_ratio": 0.5, "round_to": 8}
    schedule = {"name": "linear", "steps": 4}
    result = pruned(
        make_job(Recorder(), **PRUNE, method=method, schedule=schedule, finetune={"epochs": 1})
    )
    # Rounded up to a multiple of 8, the first three of 14, 12, 10 and 8 are 16.
    assert [step.sparsity > 0 for step in result.steps] == [False, False, False, True]
    assert result.layers[0].channels_after == 8


@pytest.mark.parametrize("sparsify", [None, {"name": "group_norm", "epochs": 1}])
def test_an_amount_that_cannot_be_ends_the_job_before_it_trains(
    make_job: MakeJob, sparsify: dict[str, Any] | None
) -> None:
    method = {"name": "structured", "pruning_ratio": [0.5, 0.96], "max_pruning_ratio": 1.0}
    recorder = Recorder()
    job = make_job(recorder, **PRUNE, method=method, sparsify=sparsify, finetune=TUNING)
    with pytest.raises(NotPrunable, match=r"layers\.0"):
        pruned(job)
    assert recorder.epochs == []


def test_zeroing_nothing_is_an_error_that_names_a_layer(make_job: MakeJob) -> None:
    method = {"name": "unstructured", "sparsity": 0.0}
    job = make_job(Recorder(), **PRUNE, method=method, finetune=None)
    with pytest.raises(NotPrunable, match=r"nothing would be pruned.*layers\.0") as caught:
        pruned(job)
    assert caught.value.hint == "Ask for a larger share."


def test_a_plan_neither_trains_nor_passes_over_the_second_amount(make_job: MakeJob) -> None:
    recorder = Recorder()
    sparsify = {"name": "group_norm", "epochs": 2}
    result = plan(make_job(recorder, **PRUNE, sparsify=sparsify, finetune=TUNING)).result
    assert isinstance(result, PlanResult)
    assert [model.parameters for model in result.models] == [835, 419]
    assert result.steps == 4 * 4  # two epochs before the cut, two after
    assert recorder.epochs == []
    method = {"name": "structured", "pruning_ratio": [0.5, 0.96], "max_pruning_ratio": 1.0}
    with pytest.raises(NotPrunable, match=r"layers\.0"):
        plan(make_job(Recorder(), **PRUNE, method=method))


def test_a_plan_of_targets_is_of_the_smallest_cut_that_is_small_enough(make_job: MakeJob) -> None:
    result = plan(make_job(Recorder(), **PRUNE, targets={"parameters": 0.4})).result
    assert isinstance(result, PlanResult)
    # h hidden units have 52·h + 3 parameters: 334 allow 6.
    assert result.models[1].parameters == 52 * 6 + 3
    assert "planned is a cut of 0.570" in result.warnings[0]
    with pytest.raises(TargetNotReached, match="leaves"):
        plan(make_job(Recorder(), **PRUNE, targets={"parameters": 0.01}))
