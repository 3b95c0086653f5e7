"""A run that died, not one that was asked to stop."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from worker.engine.checkpoint import list_checkpoints
from worker.engine.data.split import Data
from worker.engine.errors import InvalidCheckpoint
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build
from worker.engine.observer import EpochRecord, NullObserver
from worker.engine.seeds import seed_everything
from worker.engine.train.loop import FitOutcome, fit

State = Mapping[str, torch.Tensor]


class PowerCut(Exception):
    """What the dying run raises."""


class DiesInEpoch(NullObserver):
    """Ends the run without warning when an epoch's record arrives."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def on_epoch(self, record: EpochRecord) -> None:
        if record.epoch == self._epoch:
            raise PowerCut


def run(
    data: Data,
    config: ModelConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    dies_in: int = 99,
    batch_size: int = 16,
) -> tuple[State, FitOutcome]:
    seed_everything(0)
    model = build(config)
    outcome = fit(
        model,
        data,
        mean=config.mean,
        std=config.std,
        epochs=4,
        batch_size=batch_size,
        device="cpu",
        checkpoint_dir=folder,
        checkpoint_every_steps=3,
        resume_from=folder if resume else None,
        observer=DiesInEpoch(dies_in),
    )
    return model.state_dict(), outcome


def died(data: Data, config: ModelConfig, folder: Path) -> None:
    # 4 batches an epoch: after epoch 3 the checkpoints are those of steps 9 and 12.
    with pytest.raises(PowerCut):
        run(data, config, folder=folder, dies_in=3)
    assert [path.name for path in list_checkpoints(folder)] == [
        "step-0000000012.ckpt",
        "step-0000000009.ckpt",
    ]


@pytest.mark.parametrize("newest_is_damaged", [False, True])
def test_a_run_that_died_goes_on_from_its_newest_intact_checkpoint_bit_for_bit(
    data: Data, config: ModelConfig, tmp_path: Path, newest_is_damaged: bool
) -> None:
    expected, unbroken = run(data, config)
    died(data, config, tmp_path)
    if newest_is_damaged:
        newest = list_checkpoints(tmp_path)[0]
        newest.write_bytes(newest.read_bytes()[:-100])
    found, resumed = run(data, config, folder=tmp_path, resume=True)
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    assert [r.losses for r in resumed.history] == [r.losses for r in unbroken.history]
    assert resumed.steps == unbroken.steps == 16


def test_a_checkpoint_of_other_settings_says_which(
    data: Data, config: ModelConfig, tmp_path: Path
) -> None:
    died(data, config, tmp_path)
    with pytest.raises(InvalidCheckpoint, match=r"another run: batch_size$"):
        run(data, config, folder=tmp_path, resume=True, batch_size=8)
