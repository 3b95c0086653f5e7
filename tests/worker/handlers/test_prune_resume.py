"""Prune jobs of several trainings go on after a stop, and do none of them twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import MakeJob
from tests.worker.handlers.test_prune import PRUNE, pruned
from worker.engine.checkpoint import save
from worker.engine.errors import Stopped

# 60 examples in batches of 16 are 4 steps an epoch; should_stop is asked after each.
TUNING = {"epochs": 2, "batch_size": 16}
SWEEP = {"method": {"name": "structured", "pruning_ratio": [0.25, 0.5, 0.75]}}
STEPS = {
    "method": {"name": "unstructured", "sparsity": 0.8},
    "schedule": {"name": "cubic", "steps": 3},
}
SEARCH = {"targets": {"max_accuracy_drop_points": 100.0}}
SPARSE = {"sparsify": {"name": "group_norm", "epochs": 2}}


@pytest.mark.parametrize(
    ("changes", "stop_at", "epochs"),
    [
        (SWEEP, 3, 6),  # in the first of three candidates, of two epochs each
        (SWEEP, 11, 6),  # in the second
        (SWEEP, 22, 6),  # in the third
        (STEPS, 10, 4),  # in the last training, after two of one epoch
        (SPARSE, 13, 4),  # after two epochs before the cut
    ],
)
def test_a_job_goes_on_where_it_stopped_to_the_same_result(
    make_job: MakeJob, changes: dict[str, Any], stop_at: int, epochs: int
) -> None:
    spec = {**PRUNE, **changes, "finetune": TUNING}
    whole = make_job(Recorder(), **spec)
    expected = pruned(whole)
    before = Recorder(stop_at_question=stop_at)
    with pytest.raises(Stopped):
        pruned(make_job(before, **spec))
    after = Recorder()
    resumed = make_job(after, checkpoint=before.checkpoints[-1], **spec)
    found = pruned(resumed)
    assert found.sweep == expected.sweep
    assert found.steps == expected.steps
    assert found.stages == expected.stages
    one, other = (job.folder / "model" / "model.safetensors" for job in (whole, resumed))
    assert one.read_bytes() == other.read_bytes()
    # An epoch that a stop cut in two is told once, by the attempt that ends it.
    assert len(before.epochs) + len(after.epochs) == epochs


def test_a_search_does_not_try_twice_what_an_earlier_attempt_tried(make_job: MakeJob) -> None:
    spec = {**PRUNE, **SEARCH, "finetune": TUNING}
    whole = Recorder()
    expected = pruned(make_job(whole, **spec))
    before = Recorder(stop_at_question=10)  # in the third trial, of one epoch each
    with pytest.raises(Stopped):
        pruned(make_job(before, **spec))
    after = Recorder()
    found = pruned(make_job(after, checkpoint=before.checkpoints[-1], **spec))
    assert found.targets == expected.targets
    assert len(before.epochs) == 2
    assert len(before.epochs) + len(after.epochs) == len(whole.epochs)


def test_a_checkpoint_of_an_older_version_is_left_aside(make_job: MakeJob, tmp_path: Path) -> None:
    # It held the loop's state alone.
    save(tmp_path / "old.ckpt", {"model": {}, "progress": {}})
    recorder = Recorder()
    found = pruned(make_job(recorder, checkpoint=tmp_path / "old.ckpt", **PRUNE, finetune=TUNING))
    assert found.stages
    assert len(recorder.epochs) == TUNING["epochs"]
    assert any("older version" in warning for warning in recorder.warnings)


def test_the_progress_of_a_sweep_ends_where_it_said(make_job: MakeJob) -> None:
    recorder = Recorder()
    pruned(make_job(recorder, **PRUNE, **SWEEP, finetune=TUNING))
    steps, totals = zip(*recorder.steps, strict=True)
    assert list(steps) == sorted(steps)
    assert set(totals) == {24}  # three candidates of two epochs
    assert steps[-1] == 24
