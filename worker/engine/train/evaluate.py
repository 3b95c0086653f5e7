"""What a model scores. Shapes: N examples, K classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worker.engine.data.batches import Batches, Normalizer
from worker.engine.data.split import Split
from worker.engine.device import Precision, autocast
from worker.engine.errors import IncompatibleDataset, memory_errors

_BINS: Final = 15


@dataclass(frozen=True)
class Bin:
    """Examples of about the same confidence: how many, their mean confidence and accuracy."""

    samples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """Scores on one split; accuracies are in [0, 1], the loss is the mean cross-entropy.

    `per_class_accuracy` is None for a class without examples. `ece` is the expected calibration
    error over 15 equal bins of confidence (Guo et al. 2017, arXiv:1706.04599); `bins` are those
    that have examples, by rising confidence.
    """

    samples: int
    correct: int
    accuracy: float
    loss: float
    per_class_accuracy: tuple[float | None, ...]
    ece: float
    bins: tuple[Bin, ...]


def evaluate(
    model: nn.Module,
    split: Split,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    batch_size: int = 256,
    device: torch.device | None = None,
    precision: Precision = "fp32",
) -> Evaluation:
    """Score `model` in evaluation mode; it moves to `device` and gets its own mode back."""
    logits_NK = predict(
        model, split, mean, std, batch_size=batch_size, device=device, precision=precision
    )
    return score(logits_NK, split.y.cpu())


def predict(
    model: nn.Module,
    split: Split,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    batch_size: int = 256,
    device: torch.device | None = None,
    precision: Precision = "fp32",
) -> Tensor:
    """Logits [N, K] in the order of the split, float32 on the CPU."""
    device = device or torch.device("cpu")
    normalise = Normalizer.of(mean, std, split.x, device)
    was_training = model.training
    model.to(device).eval()
    try:
        with memory_errors(), torch.inference_mode(), autocast(device, precision):
            batches = Batches(split, batch_size, device)
            logits = [model(normalise(batch.x)).float() for batch in batches]
        return torch.cat(logits).cpu()
    finally:
        model.train(was_training)


def score(logits_NK: Tensor, labels_N: Tensor) -> Evaluation:
    """Scores of given logits. Raises `IncompatibleDataset` for a label without an output."""
    samples, classes = logits_NK.shape
    if int(labels_N.max()) >= classes:
        raise IncompatibleDataset(
            f"the data has label {int(labels_N.max())}, the model {classes} outputs"
        )
    hits_N = logits_NK.argmax(1) == labels_N
    members_K = labels_N.bincount(minlength=classes).tolist()
    hits_K = labels_N[hits_N].bincount(minlength=classes).tolist()
    correct = int(hits_N.sum())
    confidence_N = logits_NK.double().softmax(1).amax(1)
    return Evaluation(
        samples=samples,
        correct=correct,
        accuracy=correct / samples,
        loss=float(F.cross_entropy(logits_NK.double(), labels_N)),
        per_class_accuracy=tuple(
            hit / count if count else None for hit, count in zip(hits_K, members_K, strict=True)
        ),
        ece=calibration_error(confidence_N, hits_N),
        bins=reliability(confidence_N, hits_N),
    )


def calibration_error(confidence_N: Tensor, hits_N: Tensor) -> float:
    """Mean gap between confidence and accuracy over 15 bins, each weighted by its examples."""
    bins_N = _bin_of(confidence_N)
    gaps_N = confidence_N.double() - hits_N.double()
    # Within a bin, count · |mean confidence − accuracy| is the absolute sum of the gaps.
    sums = torch.zeros(_BINS, dtype=torch.float64).index_add(0, bins_N, gaps_N)
    return float(sums.abs().sum() / len(gaps_N))


def reliability(confidence_N: Tensor, hits_N: Tensor) -> tuple[Bin, ...]:
    """What a reliability diagram shows: the bins of `calibration_error` that have examples."""
    bins_N = _bin_of(confidence_N)
    counts = bins_N.bincount(minlength=_BINS)
    sums, hits = (
        bins_N.bincount(weights=values.double(), minlength=_BINS)
        for values in (confidence_N, hits_N)
    )
    return tuple(
        Bin(int(counts[i]), float(sums[i] / counts[i]), float(hits[i] / counts[i]))
        for i in counts.nonzero().flatten().tolist()
    )


def _bin_of(confidence_N: Tensor) -> Tensor:
    """Each is closed above: 1/15 is in the first."""
    return (confidence_N * _BINS).ceil().long().sub(1).clamp(0, _BINS - 1)


def agreement(logits_NK: Tensor, others_NK: Tensor) -> float:
    """Share of examples on which two models' top predictions are the same."""
    return float((logits_NK.argmax(1) == others_NK.argmax(1)).double().mean())
