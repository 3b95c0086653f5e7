"""Bringing a pruned network back: batch norm's statistics, then training with its zeros held."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Unpack

from torch import nn

from worker.engine.data.split import Data
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Term
from worker.engine.distill.teachers import Teacher
from worker.engine.prune.masks import apply_masks, keep_masks
from worker.engine.prune.pruner import Pruned
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.settings import FitOptions


@dataclass(frozen=True)
class Mentor:
    """The network from before the cut, which normalises as the pruned one does."""

    module: nn.Module
    temperature: float = 4.0
    alpha: float = 0.3


def finetune(
    pruned: Pruned,
    mentor: Mentor | None,
    data: Data,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    **options: Unpack[FitOptions],
) -> FitOutcome:
    """Train the pruned module in place, as `fit` and `distill` do; what is zero stays zero.

    With a mentor the loss is its knowledge distillation, `alpha` weighing the labels. The module
    ends on the run's device, in evaluation mode.
    """
    module, masks = pruned.module, pruned.masks
    with keep_masks(module, masks) if masks is not None else nullcontext():
        if mentor is None:
            outcome = fit(module, data, mean=mean, std=std, **options)
        else:
            soft = Term("kd", {"temperature": mentor.temperature}, weight=1 - mentor.alpha)
            outcome = distill(
                module,
                [Teacher(mentor.module, tuple(mean), tuple(std))],
                data,
                student_mean=mean,
                student_std=std,
                losses=[soft],
                hard_weight=mentor.alpha,
                **options,
            )
    if masks is not None:
        apply_masks(module, masks)
    return outcome
