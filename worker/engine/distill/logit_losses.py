"""Losses that compare two models' logits. Shapes: B batch, K classes.

Each is computed in float32 whatever the forward passes ran in, and is a mean over the batch.
`dist` also compares examples with one another: of several processes it sees their own rows.
"""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY: Final = 1e-7


def kd(
    student_BK: Tensor, teacher_BK: Tensor, *, temperature: float = 2.0, standardise: bool = False
) -> Tensor:
    """T² · KL(softmax(teacher/T) ‖ softmax(student/T)) (Hinton et al. 2015, arXiv:1503.02531).

    T² keeps the gradient's size independent of T. With `standardise` each example's logits are
    first brought to mean 0 and deviation 1 (Sun et al. 2024, arXiv:2403.01681), so that the
    student need not match the teacher's scale.
    """
    if standardise:
        student_BK, teacher_BK = standardised(student_BK), standardised(teacher_BK)
    return temperature**2 * _divergence(
        _log_softmax(teacher_BK, temperature), _log_softmax(student_BK, temperature)
    )


def dkd(
    student_BK: Tensor,
    teacher_BK: Tensor,
    labels_B: Tensor,
    *,
    temperature: float = 2.0,
    target_weight: float = 1.0,
    nontarget_weight: float = 2.0,
) -> Tensor:
    """Decoupled distillation (Zhao et al. 2022, arXiv:2203.08679; its α and β are the weights).

    T² · (α · KL(b_teacher ‖ b_student) + β · KL(p̂_teacher ‖ p̂_student)): b is (p_y, 1 − p_y) of
    the true class y, p̂ the distribution over the other classes alone. With α = 1 and
    β = 1 − p_y of the teacher it would be `kd`. An example without a label (−1) takes the
    teacher's first choice for y. The paper lets the term grow from zero over the first epochs.
    """
    known_B = torch.where(labels_B < 0, teacher_BK.argmax(1), labels_B)
    teacher_binary, teacher_others = _decoupled(teacher_BK.float() / temperature, known_B)
    student_binary, student_others = _decoupled(student_BK.float() / temperature, known_B)
    target = _divergence(teacher_binary, student_binary)
    nontarget = _divergence(teacher_others, student_others)
    return temperature**2 * (target_weight * target + nontarget_weight * nontarget)


def dist(
    student_BK: Tensor,
    teacher_BK: Tensor,
    *,
    temperature: float = 2.0,
    inter_weight: float = 1.0,
    intra_weight: float = 1.0,
) -> Tensor:
    """Relation matching (Huang et al. 2022, arXiv:2205.10536; its β and γ are the weights).

    T² · (β · (1 − mean ρ over examples) + γ · (1 − mean ρ over classes)): ρ is Pearson's
    correlation of the two models' softened probabilities, along the classes of one example or
    along the examples of one class. The second needs a batch, and sees the micro-batch.
    """
    student_BK = (student_BK.float() / temperature).softmax(1)
    teacher_BK = (teacher_BK.float() / temperature).softmax(1)
    inter = 1 - _correlation(student_BK, teacher_BK).mean()
    intra = 1 - _correlation(student_BK.T, teacher_BK.T).mean()
    return temperature**2 * (inter_weight * inter + intra_weight * intra)


def js(student_BK: Tensor, teacher_BK: Tensor, *, temperature: float = 2.0) -> Tensor:
    """T² · (KL(p ‖ m) + KL(q ‖ m)) / 2 with p, q the softened teacher and student and m their
    mean: the divergence of Jensen and Shannon (Lin 1991), symmetric and at most T² · ln 2."""
    teacher = _log_softmax(teacher_BK, temperature)
    student = _log_softmax(student_BK, temperature)
    middle = torch.logaddexp(teacher, student) - math.log(2)
    return temperature**2 * (_divergence(teacher, middle) + _divergence(student, middle)) / 2


def reverse_kl(student_BK: Tensor, teacher_BK: Tensor, *, temperature: float = 2.0) -> Tensor:
    """T² · KL(softmax(student/T) ‖ softmax(teacher/T)): the student is charged for what it believes
    and the teacher does not, so it settles on the teacher's main modes (Gu et al. 2024,
    arXiv:2306.08543)."""
    return temperature**2 * _divergence(
        _log_softmax(student_BK, temperature), _log_softmax(teacher_BK, temperature)
    )


def mse(student_BK: Tensor, teacher_BK: Tensor, *, scale: float = 0.1) -> Tensor:
    """`scale` · mean over examples and classes of (student − teacher)² on raw logits (Ba and
    Caruana 2014, arXiv:1312.6184; Kim et al. 2021, arXiv:2105.08919): the limit of `kd` for high
    T, up to a factor, once both are centred. Logits differ by tens where cross-entropy is 2: in
    full the labels would not be heard at first."""
    return scale * F.mse_loss(student_BK.float(), teacher_BK.float())


def standardised(logits_BK: Tensor) -> Tensor:
    """Each example's logits, minus their mean, over their standard deviation."""
    logits_BK = logits_BK.float()
    centred_BK = logits_BK - logits_BK.mean(1, keepdim=True)
    return centred_BK / (logits_BK.std(1, keepdim=True) + _TINY)


def _log_softmax(logits_BK: Tensor, temperature: float) -> Tensor:
    return F.log_softmax(logits_BK.float() / temperature, dim=1)


def _divergence(true_log: Tensor, model_log: Tensor) -> Tensor:
    """KL(true ‖ model), mean over the batch, from log-probabilities."""
    # As a product of vectors it takes four fifths of the time of F.kl_div, forth and back.
    return torch.dot(true_log.exp().flatten(), (true_log - model_log).flatten()) / len(true_log)


def _decoupled(logits_BK: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (y, not y) [B, 2] and of the other classes among themselves [B, K−1]."""
    others = torch.arange(logits_BK.shape[1] - 1, device=logits_BK.device)
    # Skips y; a mask would have to wait for the device to count its members.
    others_B = others + (others >= labels_B[:, None]).long()
    others_logits = logits_BK.gather(1, others_B)
    pair = torch.cat(
        [logits_BK.gather(1, labels_B[:, None]), others_logits.logsumexp(1, keepdim=True)], dim=1
    )
    return F.log_softmax(pair, dim=1), F.log_softmax(others_logits, dim=1)


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's correlation of each row of `one` with the same row of `other`."""
    return F.cosine_similarity(
        one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True), dim=1, eps=_TINY
    )
