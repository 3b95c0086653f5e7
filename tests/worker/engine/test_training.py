"""The loop: it learns, it stops, it goes on as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.worker.engine.conftest import MakeData
from tests.worker.engine.recorder import Recorder
from worker.engine.data.split import Data
from worker.engine.errors import Diverged, InvalidCheckpoint, Stopped
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.settings import FitOptions

MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


@pytest.fixture
def data(make_data: MakeData) -> Data:
    return make_data(train=150)


def net(classes: int = 3) -> nn.Module:
    """With batch norm and dropout: both have state that a resume must bring back."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(24, classes)
    )  # fmt: skip


def options(**changes: object) -> FitOptions:
    base = FitOptions(
        epochs=4,
        batch_size=32,
        augmentation="flip_and_crop",
        seed=3,
        device="cpu",
        precision="fp32",
    )
    base.update(changes)  # type: ignore[typeddict-item]
    return base


def run(model: nn.Module, data: Data, **changes: object) -> FitOutcome:
    return fit(model, data, mean=MEAN, std=STD, **options(**changes))


def test_training_learns_what_can_be_learnt(data: Data) -> None:
    model = net()
    outcome = run(model, data, epochs=12, augmentation="none", learning_rate=1e-2)
    assert evaluate(model, data.test, MEAN, STD).accuracy > 0.9
    assert [record.epoch for record in outcome.history] == list(range(1, 13))
    assert outcome.steps == 12 * 5  # 150 examples make 5 batches of at most 32


def test_the_weights_of_the_best_validation_epoch_are_kept(data: Data) -> None:
    model = net()
    outcome = run(model, data, epochs=8, learning_rate=3e-2)
    best = outcome.history[outcome.best_epoch - 1]
    assert best.validation_accuracy == max(r.validation_accuracy for r in outcome.history)
    kept = evaluate(model, data.validation, MEAN, STD)
    assert kept.accuracy == best.validation_accuracy
    assert kept.loss == pytest.approx(best.validation_loss, rel=1e-5)


@pytest.mark.parametrize("stop_at", [1, 4, 7, 13])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_stopped_run_ends_with_the_weights_of_an_unbroken_one(
    data: Data, tmp_path: Path, stop_at: int, optimizer: str
) -> None:
    unbroken = net()
    expected = run(unbroken, data, optimizer=optimizer)

    stopped, recorder = net(), Recorder(stop_at_question=stop_at)
    with pytest.raises(Stopped):
        run(stopped, data, optimizer=optimizer, checkpoint_dir=tmp_path, observer=recorder)
    resumed = net()
    torch.manual_seed(99)  # whatever the process did before must not matter
    found = run(resumed, data, optimizer=optimizer, resume_from=recorder.checkpoints[-1])

    for (name, one), (_, other) in zip(
        unbroken.state_dict().items(), resumed.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name
    assert [r.losses for r in found.history] == [r.losses for r in expected.history]
    assert found.steps == expected.steps


def test_a_checkpoint_of_another_run_is_refused(data: Data, tmp_path: Path) -> None:
    recorder = Recorder(stop_at_question=2)
    with pytest.raises(Stopped):
        run(net(), data, checkpoint_dir=tmp_path, observer=recorder)
    with pytest.raises(InvalidCheckpoint):
        run(net(), data, learning_rate=0.5, resume_from=recorder.checkpoints[-1])


def test_accumulated_micro_batches_give_the_step_of_the_whole_batch(data: Data) -> None:
    def linear() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))

    whole, parts = linear(), linear()
    run(whole, data, optimizer="sgd", epochs=2, augmentation="none")
    run(parts, data, optimizer="sgd", epochs=2, augmentation="none", gradient_accumulation_steps=4)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_loss_that_explodes_is_called_diverged(data: Data) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))  # nothing normalises
    with pytest.raises(Diverged):
        run(linear, data, optimizer="sgd", learning_rate=1e38, epochs=6)


def test_early_stopping_ends_a_run_that_gains_no_more(data: Data) -> None:
    outcome = run(
        net(), data, epochs=60, learning_rate=1e-2, augmentation="none", early_stopping_patience=2
    )
    assert len(outcome.history) < 60
    accuracies = [record.validation_accuracy for record in outcome.history]
    assert max(accuracies[-2:]) <= max(accuracies[:-2])
    assert accuracies[-3] == max(accuracies)
