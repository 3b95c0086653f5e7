"""Which distillation losses there are.

To add one, write it in `logit_losses` or `feature_losses` and give it a line here. Its options are
its keyword-only parameters, their defaults those of the signature.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from worker.engine.distill import adapters, feature_losses, logit_losses
from worker.engine.distill.adapters import Adapter, Shapes


@dataclass(frozen=True)
class LogitLoss:
    """`compute(student_BK, teacher_BK, **options)`, with `labels_B` after these where it asks for
    them. Needs nothing of the teacher but its logits, so these may be computed once."""

    compute: Callable[..., Tensor]
    takes_labels: bool = False


@dataclass(frozen=True)
class FeatureLoss:
    """`compute(student_features, teacher_features, **options)` of what `adapter` makes of them."""

    compute: Callable[..., Tensor]
    adapter: Callable[[Shapes], Adapter] = Adapter


LOSSES: Final[Mapping[str, LogitLoss | FeatureLoss]] = {
    "kd": LogitLoss(logit_losses.kd),
    "dkd": LogitLoss(logit_losses.dkd, takes_labels=True),
    "dist": LogitLoss(logit_losses.dist),
    "js": LogitLoss(logit_losses.js),
    "reverse_kl": LogitLoss(logit_losses.reverse_kl),
    "mse": LogitLoss(logit_losses.mse),
    "fitnet": FeatureLoss(feature_losses.fitnet, adapters.Regressors),
    "at": FeatureLoss(feature_losses.at, adapters.SamePlaces),
    "sp": FeatureLoss(feature_losses.sp),
    "rkd": FeatureLoss(feature_losses.rkd, adapters.Pooled),
    "crd": FeatureLoss(feature_losses.crd, adapters.Projections),
    "reviewkd": FeatureLoss(feature_losses.reviewkd, adapters.Review),
}


def default_options(name: str) -> dict[str, Any]:
    """The options of a loss with their defaults. Raises ValueError for an unknown loss."""
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; known: {', '.join(LOSSES)}")
    parameters = inspect.signature(LOSSES[name].compute).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
