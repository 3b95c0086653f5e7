"""What training minimises. Shapes: B batch, K classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from worker.engine.data.batches import Batch


@dataclass(frozen=True)
class Loss:
    """A scalar to minimise, and the scalars it was mixed from, before their weights."""

    total: Tensor
    terms: Mapping[str, Tensor]


class Objective(Protocol):
    """A mean over the batch of a loss of each example."""

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        """`batch` holds inputs as stored, `inputs` the same ones normalised for the model."""


@dataclass(frozen=True)
class CrossEntropy:
    """The loss of the labels, smoothed towards uniform (Szegedy et al. 2016, arXiv:1512.00567)."""

    label_smoothing: float = 0.0

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        hard = hard_loss(logits_BK, batch.y, self.label_smoothing)
        return Loss(hard, {"hard": hard})


def hard_loss(logits_BK: Tensor, labels_B: Tensor, label_smoothing: float) -> Tensor:
    """Mean cross-entropy, in float32 whatever the forward pass ran in."""
    return F.cross_entropy(logits_BK.float(), labels_B, label_smoothing=label_smoothing)
