"""Learning rates, against their definitions and torch's schedulers."""

import pytest
import torch
from torch import nn

from worker.engine.train.schedule import learning_rate_at
from worker.engine.train.settings import Settings


def rates(settings: Settings, progress: float = 1.0) -> list[float]:
    return [learning_rate_at(settings, epoch, progress) for epoch in range(settings.epochs)]


def test_step_decays_every_step_size_epochs() -> None:
    step = Settings(epochs=50, learning_rate=1.0, scheduler="step", step_size=20, gamma=0.1)
    assert [rates(step)[epoch] for epoch in (0, 19, 20, 39, 40)] == pytest.approx(
        [1.0, 1.0, 0.1, 0.1, 0.01]
    )


@pytest.mark.parametrize("warmup", [0, 2])
def test_multistep_is_torch_s_after_the_warm_up(warmup: int) -> None:
    settings = Settings(
        epochs=9, learning_rate=0.5, scheduler="multistep", milestones=(3, 7), gamma=0.2,
        warmup_epochs=warmup,
    )  # fmt: skip
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7], 0.2)
    expected = []
    for _ in range(9):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert rates(settings)[warmup:] == pytest.approx(expected[warmup:])


def test_cosine_is_torch_s() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    expected = []
    for _ in range(10):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    cosine = Settings(epochs=10, learning_rate=2.0, scheduler="cosine")
    assert rates(cosine) == pytest.approx(expected)


@pytest.mark.parametrize("scheduler", ["constant", "step", "cosine"])
def test_a_warm_up_rises_linearly_from_step_to_step(scheduler: str) -> None:
    warm = Settings(epochs=10, learning_rate=1.0, scheduler=scheduler, warmup_epochs=2)  # type: ignore[arg-type]
    assert learning_rate_at(warm, 0, 0.5) == pytest.approx(0.25)
    assert learning_rate_at(warm, 1, 1.0) == pytest.approx(1.0)
    assert learning_rate_at(warm, 2, 0.1) == pytest.approx(1.0)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    cycle = Settings(epochs=10, learning_rate=1.0, scheduler="one_cycle", warmup_share=0.2)
    assert learning_rate_at(cycle, 0, 0.0) == pytest.approx(0.04)
    assert learning_rate_at(cycle, 1, 0.0) == pytest.approx((1 + 0.04) / 2)
    assert learning_rate_at(cycle, 1, 1.0) == pytest.approx(1.0)
    assert learning_rate_at(cycle, 5, 1.0) == pytest.approx((1 + 4e-6) / 2)
    assert learning_rate_at(cycle, 9, 1.0) == pytest.approx(4e-6)


def test_one_cycle_s_ends_are_those_of_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=100, pct_start=0.4, cycle_momentum=False
    )
    expected = []
    for _ in range(100):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        if len(expected) < 100:
            theirs.step()
    ours = Settings(epochs=100, learning_rate=0.3, scheduler="one_cycle", warmup_share=0.4)
    # torch counts the steps between the first and the last one: they differ by at most one step.
    for done in (1, 40, 100):
        assert learning_rate_at(ours, done - 1, 1.0) == pytest.approx(expected[done - 1], abs=1e-3)
    assert max(expected) == expected[39] == pytest.approx(max(rates(ours)))
