"""An objective with weights of its own: trained, checkpointed, and told where the run is."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.worker.engine.recorder import Recorder
from worker.engine.data.batches import Batch
from worker.engine.data.split import Data
from worker.engine.errors import Stopped
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.objective import Loss, Objective

MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


class Rotated(Objective):
    """Cross-entropy of logits through a learned layer, whose weight grows with the epochs."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.first = nn.Linear(3, 3)
        self.layer = nn.Sequential(self.first, nn.BatchNorm1d(3), nn.Dropout(0.2))
        self.epochs: list[tuple[int, int]] = []

    def learned(self) -> nn.Module:
        return self.layer

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.epochs.append((epoch, epochs))

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        plain = F.cross_entropy(logits_BK, batch.y)
        rotated = F.cross_entropy(self.layer(logits_BK), batch.y)
        return Loss(plain + self.epochs[-1][0] * rotated, {"plain": plain, "rotated": rotated})


def run(objective: Rotated, data: Data, **options: object) -> tuple[nn.Module, FitOutcome]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    outcome = fit(
        model, data, mean=MEAN, std=STD, objective=objective, epochs=3, batch_size=16,
        device="cpu", **options,  # type: ignore[arg-type]
    )  # fmt: skip
    return model, outcome


def test_what_an_objective_learns_is_trained_beside_the_model(data: Data) -> None:
    objective = Rotated()
    before = objective.first.weight.detach().clone()
    run(objective, data)
    assert not torch.equal(objective.first.weight, before)
    assert objective.epochs == [(0, 3), (1, 3), (2, 3)]


def test_a_resumed_run_gives_the_objective_its_weights_back_bit_for_bit(
    data: Data, tmp_path: Path
) -> None:
    unbroken = Rotated()
    expected, _ = run(unbroken, data)
    recorder = Recorder(stop_at_question=6)  # in the middle of the second epoch of 4 batches
    with pytest.raises(Stopped):
        run(Rotated(), data, checkpoint_dir=tmp_path, observer=recorder)
    resumed = Rotated()
    found, _ = run(resumed, data, resume_from=recorder.checkpoints[-1])
    assert resumed.epochs == [(1, 3), (2, 3)]
    for one, other in (
        (expected.state_dict(), found.state_dict()),
        (unbroken.layer.state_dict(), resumed.layer.state_dict()),
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)
