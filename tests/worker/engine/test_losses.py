"""Losses against closed forms and an independent library."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from worker.engine.data.batches import Batch
from worker.engine.distill.distill import Distillation
from worker.engine.distill.losses import kd


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_kd_is_the_divergence_that_scipy_computes(temperature: float) -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 6, 5)) * 3
    p = softmax(teacher / temperature, axis=1)
    q = softmax(student / temperature, axis=1)
    expected = temperature**2 * rel_entr(p, q).sum(axis=1).mean()
    found = kd(torch.tensor(student), torch.tensor(teacher), temperature=temperature)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_kd_of_two_classes_has_a_closed_form() -> None:
    # teacher certain to odds 3:1, student undecided: KL = ln 2 − H(3/4)
    teacher = torch.tensor([[math.log(3.0), 0.0]])
    student = torch.tensor([[0.0, 0.0]])
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert kd(student, teacher, temperature=1.0).item() == pytest.approx(expected, rel=1e-6)


def test_kd_of_equal_outputs_is_zero() -> None:
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    assert kd(logits, logits.clone(), temperature=3.0).item() == pytest.approx(0.0, abs=1e-6)


def test_alpha_weighs_the_labels_and_the_rest_the_teacher() -> None:
    rng = np.random.default_rng(3)
    student, teacher = rng.normal(size=(2, 8, 4))
    labels = np.arange(8) % 4
    temperature, alpha = 2.0, 0.3
    hard = -log_softmax(student, axis=1)[np.arange(8), labels].mean()
    p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
    soft = temperature**2 * rel_entr(p, q).sum(axis=1).mean()

    teacher_logits = torch.tensor(teacher)
    objective = Distillation(
        teacher=_Always(teacher_logits),
        soft_loss=lambda s, t: kd(s, t, temperature=temperature),
        alpha=alpha,
        label_smoothing=0.0,
        normalise=None,
    )
    inputs = torch.zeros(8, 1)
    loss = objective(
        torch.tensor(student), Batch(inputs, torch.tensor(labels), torch.arange(8)), inputs
    )
    assert loss.terms["hard"].item() == pytest.approx(hard, rel=1e-5)
    assert loss.terms["soft"].item() == pytest.approx(soft, rel=1e-5)
    assert loss.total.item() == pytest.approx(alpha * hard + (1 - alpha) * soft, rel=1e-5)


class _Always(torch.nn.Module):
    """A teacher that answers the same whatever it sees."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self._logits = logits

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._logits
