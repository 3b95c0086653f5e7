"""What a student minimises: a mix of the labels' loss and losses against a teacher.

Shapes: B batch, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from worker.engine.data.batches import Batch
from worker.engine.distill.adapters import Adapter
from worker.engine.distill.losses import LOSSES, FeatureLoss, LogitLoss
from worker.engine.models.features import FeatureTap, LayerPair
from worker.engine.train.objective import Loss, Objective, hard_loss

Weight = float | Sequence[float]
"""A constant, or one value for each epoch."""


@dataclass(frozen=True)
class Term:
    """One distillation loss of a mix.

    `options` are the loss's own, missing ones as in its signature. `scale` multiplies the loss
    before it is reported, `weight` afterwards. `layers` pairs the layers of a loss of features;
    None takes the last map of each stage.
    """

    name: str = "kd"
    options: Mapping[str, Any] = field(default_factory=dict)
    weight: Weight = 0.7
    scale: float = 1.0
    layers: tuple[LayerPair, ...] | None = None

    @property
    def takes_features(self) -> bool:
        """Whether the teacher has to be there, since its logits do not suffice."""
        return isinstance(LOSSES[self.name], FeatureLoss)


class Teachers(Protocol):
    """Where the teachers' logits come from."""

    def start_epoch(self, epoch: int) -> None:
        """Epoch number `epoch`, from 0, begins."""

    def logits(self, batch: Batch, inputs: Tensor) -> Tensor:
        """[B, K]; `batch` as stored, `inputs` the same normalised for the student."""


@dataclass(frozen=True)
class Tapped:
    """Where both models' maps of one term are read, and the adapter that they go through."""

    student: FeatureTap
    teacher: FeatureTap
    adapter: Adapter


class Distillation(Objective):
    """hard_weight · hard + Σ weight · loss over the terms.

    `hard` is the labels' cross-entropy; `soft` the mean of the terms by weight. With several terms
    each is reported under its name as well. `tapped` has an entry for each loss of features.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        teachers: Teachers,
        *,
        hard_weight: Weight,
        label_smoothing: float = 0.0,
        tapped: Mapping[str, Tapped] | None = None,
    ) -> None:
        self._terms, self._teachers = tuple(terms), teachers
        self._tapped = tapped or {}
        self._hard_weight, self._label_smoothing = hard_weight, label_smoothing
        self._epoch = 0

    def learned(self) -> nn.Module | None:
        """The adapters."""
        adapters = {name: tapped.adapter for name, tapped in self._tapped.items()}
        return nn.ModuleDict(adapters) if adapters else None

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self._epoch = epoch
        self._teachers.start_epoch(epoch)

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        teacher_BK = self._teachers.logits(batch, inputs)
        hard = hard_loss(logits_BK, batch, self._label_smoothing)
        losses = [self._loss(term, logits_BK, teacher_BK, batch) for term in self._terms]
        weights = [at_epoch(term.weight, self._epoch) for term in self._terms]
        soft = _weighted_mean(losses, weights)
        labels = at_epoch(self._hard_weight, self._epoch) * hard
        total = torch.add(labels, soft, alpha=sum(weights))
        if len(losses) == 1:
            return Loss(total, {"hard": hard, "soft": soft})
        named = {term.name: loss for term, loss in zip(self._terms, losses, strict=True)}
        return Loss(total, {"hard": hard, "soft": soft, **named})

    def _loss(self, term: Term, logits_BK: Tensor, teacher_BK: Tensor, batch: Batch) -> Tensor:
        loss = LOSSES[term.name]
        if isinstance(loss, LogitLoss):
            labels = (batch.y,) if loss.takes_labels else ()
            value: Tensor = loss.compute(logits_BK, teacher_BK, *labels, **term.options)
        else:
            tapped = self._tapped[term.name]
            adapted = tapped.adapter(tapped.student.take(), tapped.teacher.take())
            # In float32 also where the forward pass was not: squares of small differences.
            with torch.autocast(logits_BK.device.type, enabled=False):
                value = loss.compute(*adapted, **term.options)
        return value if term.scale == 1 else term.scale * value


def at_epoch(weight: Weight, epoch: int) -> float:
    """The value in `epoch`, counted from 0; the last one goes on."""
    if isinstance(weight, Sequence):
        return float(weight[min(epoch, len(weight) - 1)])
    return float(weight)


def _weighted_mean(losses: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if len(losses) == 1:
        return losses[0]
    total = sum(weights)
    shares = [w / total if total else 1 / len(weights) for w in weights]
    return torch.stack([share * loss for share, loss in zip(shares, losses, strict=True)]).sum()
