"""Losses that compare feature maps of paired layers. Shapes: B batch, C channels, H, W, D width.

Each takes the student's and the teacher's features of the same pairs, brought by the loss's adapter
(`adapters`) to the form it compares: maps [B, C, H, W], or vectors [B, D]. It is computed in
float32 and is a mean over pairs. `sp`, `rkd` and `crd` compare examples with one another: they
see the micro-batch, and of several processes their own rows of it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

Features = Sequence[Tensor]
_TINY: Final = 1e-12


def fitnet(student: Features, teacher: Features) -> Tensor:
    """Mean of (r(student) − teacher)² over all values, r a learned regressor (Romero et al. 2015,
    arXiv:1412.6550); here in one stage, beside the other terms."""
    return _over_pairs(lambda s, t: F.mse_loss(s, t), student, teacher)


def at(student: Features, teacher: Features, *, power: float = 2.0) -> Tensor:
    """Attention transfer (Zagoruyko and Komodakis 2017, arXiv:1612.03928).

    Mean over examples and places of (a_student − a_teacher)²; a is Σ_C |feature|^power over the
    places, divided by its Euclidean norm.
    """
    return _over_pairs(
        lambda s, t: F.mse_loss(_attention(s, power), _attention(t, power)), student, teacher
    )


def sp(student: Features, teacher: Features) -> Tensor:
    """Similarity preservation (Tung and Mori 2019, arXiv:1907.09682).

    ‖G_student − G_teacher‖² / B² in Frobenius' norm; G [B, B] holds the inner products of the
    examples' features, each row divided by its norm.
    """
    return _over_pairs(
        lambda s, t: F.mse_loss(_similarity(s.flatten(1)), _similarity(t.flatten(1))),
        student,
        teacher,
    )


def rkd(
    student: Features,
    teacher: Features,
    *,
    distance_weight: float = 1.0,
    angle_weight: float = 2.0,
) -> Tensor:
    """Relational distillation of pooled features (Park et al. 2019, arXiv:1904.05068).

    Huber loss (δ = 1) between the models' pairwise distances, each divided by its mean, and
    between the cosines of the angles that each example sees between two others.
    """

    def compare(s_BD: Tensor, t_BD: Tensor) -> Tensor:
        distance = F.smooth_l1_loss(_distances(s_BD), _distances(t_BD))
        angle = F.smooth_l1_loss(_angles(s_BD), _angles(t_BD))
        return distance_weight * distance + angle_weight * angle

    return _over_pairs(compare, student, teacher)


def crd(student: Features, teacher: Features, *, contrast_temperature: float = 0.07) -> Tensor:
    """Contrastive distillation (Tian et al. 2020, arXiv:1910.10699), in its in-batch form.

    InfoNCE both ways (van den Oord et al. 2018, arXiv:1807.03748): among the batch's embeddings by
    the other model, the one of the same example is to be the nearest. Embeddings are learned
    projections of unit length. The paper instead draws thousands of negatives from a memory of
    the whole training split; without one, a larger batch gives more negatives.
    """

    def compare(s_BD: Tensor, t_BD: Tensor) -> Tensor:
        nearness_BB = F.normalize(s_BD, dim=1) @ F.normalize(t_BD, dim=1).T / contrast_temperature
        same_B = torch.arange(len(s_BD), device=s_BD.device)
        return (F.cross_entropy(nearness_BB, same_B) + F.cross_entropy(nearness_BB.T, same_B)) / 2

    return _over_pairs(compare, student, teacher)


def reviewkd(student: Features, teacher: Features) -> Tensor:
    """Knowledge review (Chen et al. 2021, arXiv:2104.09044): hierarchical context loss between
    the teacher's maps and the student's, fused from the deepest to the first by the adapter."""
    return _over_pairs(hierarchical_context, student, teacher)


def hierarchical_context(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference at full size and of the maps pooled to 4, 2 and 1 places a side,
    weighted 1, 1/2, 1/4, 1/8 and divided by the sum of the weights. Levels that are no smaller
    than the map are left out."""
    loss, total, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for side in (4, 2, 1):
        if side >= student.shape[2]:
            continue
        weight /= 2
        ours, theirs = (F.adaptive_avg_pool2d(maps, side) for maps in (student, teacher))
        loss = loss + weight * F.mse_loss(ours, theirs)
        total += weight
    return loss / total


def _over_pairs(
    compare: Callable[[Tensor, Tensor], Tensor], student: Features, teacher: Features
) -> Tensor:
    assert len(student) == len(teacher) > 0
    parts = [compare(s.float(), t.float()) for s, t in zip(student, teacher, strict=True)]
    return torch.stack(parts).mean()


def _attention(features: Tensor, power: float) -> Tensor:
    maps_BHW = features.abs().pow(power).sum(1)
    return F.normalize(maps_BHW.flatten(1), dim=1)


def _similarity(features_BD: Tensor) -> Tensor:
    return F.normalize(features_BD @ features_BD.T, dim=1)


def _distances(points_BD: Tensor) -> Tensor:
    """Euclidean distances [B, B], divided by the mean of those between different examples."""
    squares_B = points_BD.square().sum(1)
    squared_BB = squares_B[:, None] + squares_B - 2 * points_BD @ points_BD.T
    apart_BB = 1 - torch.eye(len(points_BD), device=points_BD.device)
    # The root has no slope at zero: where the distance is that of a point from itself, mask it.
    distances_BB = (squared_BB.clamp_min(_TINY)).sqrt() * apart_BB
    pairs = max(len(points_BD) * (len(points_BD) - 1), 1)
    return distances_BB / (distances_BB.sum() / pairs).clamp_min(_TINY)


def _angles(points_BD: Tensor) -> Tensor:
    """Cosines [B, B, B]: at the first example, between the directions of the other two."""
    directions = F.normalize(points_BD[None] - points_BD[:, None], dim=2)
    return directions @ directions.transpose(1, 2)
