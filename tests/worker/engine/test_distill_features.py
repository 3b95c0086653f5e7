"""Losses of features against numpy, and what their adapters do to shapes."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances
from torch import nn

from worker.engine.distill import adapters
from worker.engine.distill.feature_losses import (
    at,
    crd,
    fitnet,
    hierarchical_context,
    rkd,
    sp,
)
from worker.engine.distill.losses import LOSSES, FeatureLoss
from worker.engine.errors import IncompatibleModels

RNG = np.random.default_rng(1)
S1, T1 = RNG.normal(size=(2, 4, 3, 2, 2))
S2, T2 = RNG.normal(size=(2, 4, 5, 1, 2))
STUDENT, TEACHER = (
    [torch.tensor(maps, dtype=torch.float32) for maps in pair] for pair in ((S1, S2), (T1, T2))
)
VECTORS_S, VECTORS_T = RNG.normal(size=(2, 5, 3))
VS, VT = ([torch.tensor(v, dtype=torch.float32)] for v in (VECTORS_S, VECTORS_T))


def test_fitnet_is_the_mean_over_pairs_of_the_mean_square() -> None:
    expected = (np.mean((S1 - T1) ** 2) + np.mean((S2 - T2) ** 2)) / 2
    assert fitnet(STUDENT, TEACHER).item() == pytest.approx(expected, rel=1e-5)


def test_at_compares_normalised_sums_over_channels() -> None:
    parts = []
    for s, t in ((S1, T1), (S2, T2)):
        a, b = ((x**2).sum(1).reshape(4, -1) for x in (s, t))
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        parts.append(np.mean((a - b) ** 2))
    assert at(STUDENT, TEACHER).item() == pytest.approx(np.mean(parts), rel=1e-5)


def test_sp_compares_normalised_gram_matrices() -> None:
    parts = []
    for s, t in ((S1, T1), (S2, T2)):
        g, h = (x.reshape(4, -1) @ x.reshape(4, -1).T for x in (s, t))
        g, h = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (g, h))
        parts.append(np.linalg.norm(g - h) ** 2 / 16)
    assert sp(STUDENT, TEACHER).item() == pytest.approx(np.mean(parts), rel=1e-5)


def test_rkd_compares_distances_and_angles() -> None:
    def huber(x: np.ndarray) -> float:
        return float(np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5).mean())

    def distances(x: np.ndarray) -> np.ndarray:
        found = euclidean_distances(x)
        return np.asarray(found / found[found > 0].mean())

    def angles(x: np.ndarray) -> np.ndarray:
        found = np.zeros((5, 5, 5))
        for i, j, k in np.ndindex(5, 5, 5):
            if i not in (j, k):
                u, v = x[j] - x[i], x[k] - x[i]
                found[i, j, k] = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
        return found

    distance = huber(distances(VECTORS_S) - distances(VECTORS_T))
    angle = huber(angles(VECTORS_S) - angles(VECTORS_T))
    found = rkd(VS, VT, distance_weight=25.0, angle_weight=50.0)
    assert found.item() == pytest.approx(25 * distance + 50 * angle, rel=1e-4)


def test_rkd_does_not_see_rotation_shift_and_scale() -> None:
    turned = torch.linalg.qr(torch.tensor(RNG.normal(size=(3, 3)), dtype=torch.float32))[0]
    assert rkd([3 * VS[0] @ turned + 2], VS).item() == pytest.approx(0.0, abs=1e-6)


def test_rkd_has_a_finite_gradient_where_two_examples_coincide() -> None:
    points = torch.ones(4, 3, requires_grad=True)
    torch.autograd.backward(rkd([points], [VT[0][:4]]))
    assert points.grad is not None
    assert bool(torch.isfinite(points.grad).all())


def test_crd_asks_for_the_same_example_both_ways() -> None:
    s, t = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (VECTORS_S, VECTORS_T))
    near = s @ t.T / 0.1
    rows = -np.mean(np.diag(near) - np.log(np.exp(near).sum(1)))
    columns = -np.mean(np.diag(near) - np.log(np.exp(near).sum(0)))
    found = crd(VS, VT, contrast_temperature=0.1)
    assert found.item() == pytest.approx((rows + columns) / 2, rel=1e-5)


def test_hierarchical_context_weighs_each_scale() -> None:
    difference = RNG.normal(size=(2, 3, 8, 8))
    student = torch.tensor(difference, dtype=torch.float32)
    expected, total = np.mean(difference**2), 1.0
    for weight, side in ((0.5, 4), (0.25, 2), (0.125, 1)):
        step = 8 // side
        pooled = difference.reshape(2, 3, side, step, side, step).mean((3, 5))
        expected, total = expected + weight * np.mean(pooled**2), total + weight
    found = hierarchical_context(student, torch.zeros_like(student))
    assert found.item() == pytest.approx(expected / total, rel=1e-5)


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if isinstance(loss, FeatureLoss)])
def test_a_loss_of_features_trains_its_adapter_and_the_student(name: str) -> None:
    loss = LOSSES[name]
    assert isinstance(loss, FeatureLoss)
    torch.manual_seed(0)
    shapes = [((4, 8, 8), (6, 8, 8)), ((8, 4, 4), (12, 2, 2))]
    adapter = loss.adapter(shapes)
    student = [torch.randn(5, *s, requires_grad=True) for s, _ in shapes]
    teacher = [torch.randn(5, *t) for _, t in shapes]
    torch.autograd.backward(loss.compute(*adapter(student, teacher)))
    learned = [*student, *adapter.parameters()]
    for tensor in learned:
        assert tensor.grad is not None
        assert bool(torch.isfinite(tensor.grad).all())
        assert tensor.grad.abs().sum() > 0 or name == "reviewkd"


def test_pooling_to_the_same_places_is_a_mean() -> None:
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    pooled, same = adapters.same_places(maps, torch.zeros(1, 2, 2, 2))
    assert pooled.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert same.shape == (1, 2, 2, 2)


def test_review_gives_each_map_the_teachers_channels() -> None:
    shapes = [((4, 8, 8), (6, 8, 8)), ((8, 4, 4), (12, 4, 4))]
    ours, theirs = adapters.Review(shapes)(
        [torch.randn(3, *s) for s, _ in shapes], [torch.randn(3, *t) for _, t in shapes]
    )
    assert [o.shape for o in ours] == [t.shape for t in theirs]


def test_attention_between_layers_without_places_is_refused() -> None:
    with pytest.raises(IncompatibleModels, match="place"):
        adapters.SamePlaces([((16, 1, 1), (32, 1, 1))])


def test_regressors_are_one_by_one_convolutions() -> None:
    (regressor,) = adapters.Regressors([((4, 8, 8), (6, 8, 8))]).regress
    assert isinstance(regressor, nn.Conv2d)
    assert regressor.weight.shape == (6, 4, 1, 1)
