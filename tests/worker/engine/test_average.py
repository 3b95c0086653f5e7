"""The average of weights: its numbers, and that it is what is judged and kept."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.worker.engine.recorder import Recorder
from worker.engine.data.split import Data
from worker.engine.errors import Stopped
from worker.engine.train.average import WeightAverage
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import FitOutcome, fit

MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(216, 3),
    )  # fmt: skip


def run(model: nn.Module, data: Data, **options: object) -> FitOutcome:
    return fit(
        model, data, mean=MEAN, std=STD, epochs=3, batch_size=16, device="cpu", precision="fp32",
        scheduler="one_cycle", learning_rate=1e-2, ema_decay=0.9, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_decay_warms_up_as_one_more_step_over_ten_more_steps() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, 0.3)
    for step in (1, 2, 3, 4):
        nn.init.constant_(model.weight, float(step))
        average.update()
    # Decays 2/11, 3/12, 4/13 → 0.3, 0.3: the average moves by 9/11, 3/4, 0.7 and 0.7 of the way.
    first = 1 * 9 / 11
    second = first + 0.75 * (2 - first)
    third = second + 0.7 * (3 - second)
    fourth = third + 0.7 * (4 - third)
    with average.in_place():
        assert model.weight.item() == pytest.approx(fourth, rel=1e-6)
    assert model.weight.item() == 4.0


def test_the_average_is_what_is_validated_and_kept(data: Data) -> None:
    model = net()
    outcome = run(model, data)
    best = outcome.history[outcome.best_epoch - 1]
    kept = evaluate(model, data.validation, MEAN, STD)
    assert kept.loss == pytest.approx(best.validation_loss, rel=1e-5)
    plain = net()
    fit(
        plain, data, mean=MEAN, std=STD, epochs=3, batch_size=16, device="cpu", precision="fp32",
        scheduler="one_cycle", learning_rate=1e-2,
    )  # fmt: skip
    ours, theirs = model.state_dict(), plain.state_dict()
    assert not any(torch.equal(ours[name], theirs[name]) for name in ("0.weight", "1.running_mean"))


@pytest.mark.parametrize("stop_at", [2, 6, 8])
def test_a_run_with_an_average_goes_on_bit_for_bit(
    data: Data, tmp_path: Path, stop_at: int
) -> None:
    unbroken = net()
    expected = run(unbroken, data)
    recorder = Recorder(stop_at_question=stop_at)
    with pytest.raises(Stopped):
        run(net(), data, checkpoint_dir=tmp_path, observer=recorder)
    resumed = net()
    found = run(resumed, data, resume_from=recorder.checkpoints[-1])
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert [r.losses for r in found.history] == [r.losses for r in expected.history]
