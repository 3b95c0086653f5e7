"""What teachers say of a batch, asked each time or known beforehand.

Shapes: M teachers, V views, N examples of the training split, B batch, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worker.engine.data.batches import Batch, Normalizer

TeacherMode = Literal["average", "best_per_sample"]


@dataclass(frozen=True)
class Teacher:
    """A trained model, how its inputs are normalised, and how much its word counts.

    `logits_file` is read if it holds what would be computed, and written otherwise; `digest` says
    in it whose logits they are.
    """

    module: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weight: float = 1.0
    logits_file: Path | None = None
    digest: str = ""


@dataclass(frozen=True)
class LiveTeachers:
    """Asked for every batch; they see the same augmented inputs as the student.

    `asked` are the teachers' modules or fast copies of them. `normalisers` holds None for a
    teacher that normalises as the student does.
    """

    teachers: Sequence[Teacher]
    asked: Sequence[Callable[[Tensor], Tensor]]
    normalisers: Sequence[Normalizer | None]
    mode: TeacherMode

    def start_epoch(self, epoch: int) -> None:
        """They are asked anew in every epoch."""

    # Not inference_mode: its tensors cannot be saved for the student's backward pass.
    @torch.no_grad()
    def logits(self, batch: Batch, inputs: Tensor) -> Tensor:
        """[B, K] of all of them together."""
        said = [
            ask(inputs if normalise is None else normalise(batch.x))
            for ask, normalise in zip(self.asked, self.normalisers, strict=True)
        ]
        return combined(said, [t.weight for t in self.teachers], self.mode, batch.y)


class KnownTeachers:
    """Their logits on the whole training split, together: [V, N, K]; one view after another."""

    def __init__(self, logits_VNK: Tensor) -> None:
        self._logits_VNK = logits_VNK
        self._view = 0

    def start_epoch(self, epoch: int) -> None:
        self._view = epoch % len(self._logits_VNK)

    def logits(self, batch: Batch, inputs: Tensor) -> Tensor:
        """[B, K] of the batch's examples in the epoch's view."""
        return self._logits_VNK[self._view][batch.positions]


def combined(
    logits: Sequence[Tensor], weights: Sequence[float], mode: TeacherMode, labels_B: Tensor
) -> Tensor:
    """One [B, K] of M teachers' logits.

    `average` is the weighted mean of logits, so of log-probabilities up to a constant.
    `best_per_sample` takes for each example the teacher with the lowest cross-entropy on its
    label; for one without a label (−1), the teacher that is the surest.
    """
    if len(logits) == 1:
        return logits[0]
    logits_MBK = torch.stack([one.float() for one in logits])
    match mode:
        case "average":
            shares_M = torch.tensor(weights, device=logits_MBK.device) / sum(weights)
            return torch.einsum("m,mbk->bk", shares_M, logits_MBK)
        case "best_per_sample":
            log_MBK = F.log_softmax(logits_MBK, dim=2)
            labelled_MB = log_MBK.gather(
                2, labels_B.clamp_min(0).expand(len(logits), -1)[..., None]
            )
            score_MB = torch.where(labels_B < 0, log_MBK.amax(2), labelled_MB[..., 0])
            best_B = score_MB.argmax(0)
            return logits_MBK[best_B, torch.arange(len(best_B), device=best_B.device)]
        case _:
            assert_never(mode)
