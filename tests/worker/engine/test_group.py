"""Runs of several processes, over gloo: what they reach is what one process reaches."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker.engine.ranks import Case, outcome_of, train, train_together
from worker.engine.group import Group

CLOSE = 1e-5
# Where BatchNorm centres what ReLU cuts, rounding is amplified; a lower rate keeps it small.
NORM_CLOSE = 1e-4
SLOW: dict[str, Any] = {"batch_size": 15, "learning_rate": 1e-3}


def assert_same(found: dict[str, Any], expected: dict[str, Any], tolerance: float = CLOSE) -> None:
    torch.testing.assert_close(
        found["weights"], expected["weights"], rtol=tolerance, atol=tolerance
    )
    assert found["accuracies"] == expected["accuracies"]
    for ours, theirs in zip(found["losses"], expected["losses"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    ("case", "options", "tolerance"),
    [
        (
            Case(terms=("kd",)),
            {
                "augmentation": "none",
                "gradient_accumulation_steps": 3,
                "ema_decay": 0.9,
                "max_grad_norm": 1.0,
            },
            CLOSE,
        ),
        (Case(terms=("dkd", "fitnet")), {"mixup_alpha": 0.4}, CLOSE),
        (Case("cifar_resnet8"), {"activation_checkpointing": True, **SLOW}, NORM_CLOSE),
    ],
    ids=["known teacher", "live teacher", "batch norm, recomputed"],
)
def test_two_processes_reach_the_weights_of_one(
    case: Case, options: dict[str, Any], tolerance: float, tmp_path: Path
) -> None:
    expected = outcome_of(*train(case, **options))
    first, second = train_together(2, tmp_path, case, **options)
    assert_same(first, expected, tolerance)
    assert all(torch.equal(t, second["weights"][name]) for name, t in first["weights"].items())


def test_a_process_without_a_row_of_the_last_batch_keeps_step(tmp_path: Path) -> None:
    case = Case("cifar_resnet8")
    expected = outcome_of(*train(case, **SLOW))
    assert_same(train_together(3, tmp_path, case, **SLOW)[2], expected, NORM_CLOSE)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_checkpoint_goes_on_with_another_number_of_processes(
    before: int, after: int, tmp_path: Path
) -> None:
    expected = outcome_of(*train(Case()))
    folders = [tmp_path / "before", tmp_path / "after"]
    for folder in folders:
        folder.mkdir()
    kept = tmp_path / "checkpoints"
    stopped = train_together(before, folders[0], Case(stop_at=6), checkpoint_dir=kept)
    assert stopped == [{"stopped": True}] * before
    assert len(list(kept.iterdir())) == 1
    for left in train_together(after, folders[1], Case(), resume_from=kept):
        assert_same(left, expected)


def test_memory_that_runs_out_in_one_process_halves_the_batches_of_all(tmp_path: Path) -> None:
    expected = outcome_of(*train(Case()))
    for left in train_together(2, tmp_path, Case(out_of_memory_at=(1, 3))):
        assert left["micro_batches"] == 2
        assert_same(left, expected)


def test_the_others_learn_that_a_process_died(tmp_path: Path) -> None:
    first, second = train_together(2, tmp_path, Case(dies_at=(1, 3)))
    assert (first, second) == ({"lost": True}, {})


def test_rows_of_all_processes_are_every_row_once() -> None:
    slices = [Group(rank, 3).rows(8) for rank in range(3)]
    assert [(rows.start, rows.stop) for rows in slices] == [(0, 2), (2, 5), (5, 8)]
