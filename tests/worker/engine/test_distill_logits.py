"""Losses of logits against scipy, numpy and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax
from scipy.stats import pearsonr, zscore

from worker.engine.distill.logit_losses import dist, dkd, js, kd, mse, reverse_kl

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(size=(2, 6, 5)) * 3
LABELS = np.array([0, 4, 2, 2, 1, 3])
S, T, Y = torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(LABELS)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_kd_is_the_divergence_that_scipy_computes(temperature: float) -> None:
    p, q = softmax(TEACHER / temperature, axis=1), softmax(STUDENT / temperature, axis=1)
    expected = temperature**2 * rel_entr(p, q).sum(axis=1).mean()
    assert kd(S, T, temperature=temperature).item() == pytest.approx(expected, rel=1e-5)


def test_kd_of_two_classes_has_a_closed_form() -> None:
    # teacher certain to odds 3:1, student undecided: KL = ln 2 − H(3/4)
    teacher = torch.tensor([[math.log(3.0), 0.0]])
    student = torch.tensor([[0.0, 0.0]])
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert kd(student, teacher, temperature=1.0).item() == pytest.approx(expected, rel=1e-6)


def test_kd_of_equal_outputs_is_zero() -> None:
    assert kd(S, S.clone(), temperature=3.0).item() == pytest.approx(0.0, abs=1e-6)


def test_standardised_kd_is_kd_of_z_scores() -> None:
    p = softmax(zscore(TEACHER, axis=1, ddof=1) / 2, axis=1)
    q = softmax(zscore(STUDENT, axis=1, ddof=1) / 2, axis=1)
    expected = 4 * rel_entr(p, q).sum(axis=1).mean()
    found = kd(S, T, temperature=2.0, standardise=True)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_standardised_kd_does_not_see_scale_and_shift() -> None:
    one = kd(S, T, temperature=2.0, standardise=True)
    other = kd(3 * S + 7, 0.2 * T - 1, temperature=2.0, standardise=True)
    assert other.item() == pytest.approx(one.item(), rel=1e-4)


def test_dkd_with_the_teachers_own_doubt_as_weight_is_kd() -> None:
    # Zhao et al. 2022, equation 7, example by example
    for row, label in enumerate(LABELS):
        p = softmax(TEACHER[row] / 4)
        found = dkd(
            S[row, None],
            T[row, None],
            Y[row, None],
            temperature=4.0,
            target_weight=1.0,
            nontarget_weight=1 - p[label],
        )
        expected = kd(S[row, None], T[row, None], temperature=4.0).item()
        assert found.item() == pytest.approx(expected, rel=1e-4)


def test_dkd_weighs_its_two_parts() -> None:
    p, q = softmax(TEACHER / 2, axis=1), softmax(STUDENT / 2, axis=1)
    target = nontarget = 0.0
    for row, label in enumerate(LABELS):
        b, c = p[row, label], q[row, label]
        target += b * math.log(b / c) + (1 - b) * math.log((1 - b) / (1 - c))
        others = np.delete(p[row], label) / (1 - b), np.delete(q[row], label) / (1 - c)
        nontarget += rel_entr(*others).sum()
    expected = 4 * (0.5 * target + 3 * nontarget) / 6
    found = dkd(S, T, Y, temperature=2.0, target_weight=0.5, nontarget_weight=3.0)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_dkd_takes_the_teachers_first_choice_where_there_is_no_label() -> None:
    unknown = dkd(S, T, torch.full_like(Y, -1))
    assert unknown.item() == pytest.approx(dkd(S, T, T.argmax(1)).item(), rel=1e-6)


def test_dist_is_one_minus_pearsons_correlation_over_rows_and_columns() -> None:
    p, q = softmax(TEACHER / 4, axis=1), softmax(STUDENT / 4, axis=1)
    inter = 1 - np.mean([pearsonr(a, b)[0] for a, b in zip(p, q, strict=True)])
    intra = 1 - np.mean([pearsonr(a, b)[0] for a, b in zip(p.T, q.T, strict=True)])
    found = dist(S, T, temperature=4.0, inter_weight=2.0, intra_weight=0.5)
    assert found.item() == pytest.approx(16 * (2 * inter + 0.5 * intra), rel=1e-5)


def test_js_is_the_square_of_scipys_distance() -> None:
    p, q = softmax(TEACHER / 4, axis=1), softmax(STUDENT / 4, axis=1)
    expected = 16 * np.mean(jensenshannon(p, q, axis=1) ** 2)
    assert js(S, T, temperature=4.0).item() == pytest.approx(expected, rel=1e-5)


def test_js_of_opposite_certainties_is_the_logarithm_of_two() -> None:
    one, other = torch.tensor([[60.0, 0.0]]), torch.tensor([[0.0, 60.0]])
    assert js(one, other, temperature=1.0).item() == pytest.approx(math.log(2), rel=1e-6)


def test_reverse_kl_swaps_the_roles() -> None:
    assert reverse_kl(S, T, temperature=3.0).item() == kd(T, S, temperature=3.0).item()


def test_mse_is_the_mean_over_examples_and_classes() -> None:
    expected = np.mean((STUDENT - TEACHER) ** 2)
    assert mse(S, T, scale=1.0).item() == pytest.approx(expected, rel=1e-6)
    assert mse(S, T, scale=0.25).item() == pytest.approx(expected / 4, rel=1e-6)


def test_kd_at_a_high_temperature_tends_to_half_the_mse_of_centred_logits() -> None:
    # Hinton et al. 2015, section 2.1: T² · KL → ‖Δ‖² / 2K
    centred = [logits - logits.mean(1, keepdim=True) for logits in (S, T)]
    found = kd(S.float() * 0.1, T.float() * 0.1, temperature=30.0).item()
    assert found == pytest.approx(0.01 * mse(*centred, scale=1.0).item() / 2, rel=2e-2)
