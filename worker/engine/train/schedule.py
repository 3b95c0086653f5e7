"""The learning rate of every step, as a function of the settings and of how far the run is."""

import math
from typing import Final, assert_never

from worker.engine.train.settings import Settings

# one_cycle starts at this share of its peak and ends at that one (Smith and Topin 2018,
# arXiv:1708.07120; the shares are those of torch's OneCycleLR).
_FIRST: Final = 1 / 25
_LAST: Final = _FIRST / 1e4


def learning_rate_at(settings: Settings, epoch: int, progress: float) -> float:
    """The rate of one step: `epoch` from 0, `progress` the share of it done after the step.

    one_cycle and warm-up change it from step to step, the others from epoch to epoch. The epochs
    of a warm-up come first, and count for step and multistep.
    """
    base, warmup = settings.learning_rate, settings.warmup_epochs
    if epoch < warmup:
        return base * (epoch + progress) / warmup
    match settings.scheduler:
        case "constant":
            return base
        case "step":
            return base * settings.gamma ** (epoch // settings.step_size)
        case "multistep":
            return base * settings.gamma ** sum(epoch >= at for at in settings.milestones)
        case "cosine":
            return _bend(base, 0.0, (epoch - warmup) / (settings.epochs - warmup))
        case "one_cycle":
            return _one_cycle(base, settings.warmup_share, (epoch + progress) / settings.epochs)
        case _:
            assert_never(settings.scheduler)


def _one_cycle(peak: float, rise: float, done: float) -> float:
    if done < rise:
        return _bend(peak * _FIRST, peak, done / rise)
    return _bend(peak, peak * _LAST, (done - rise) / (1 - rise))


def _bend(start: float, end: float, done: float) -> float:
    """From start to end along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
