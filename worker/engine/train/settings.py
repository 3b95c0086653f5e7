"""Every option of a training run and its default."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, assert_never, get_args

import torch
from torch import nn

from worker.engine.data.batches import Augmentation
from worker.engine.device import DeviceName, PrecisionName
from worker.engine.group import ALONE, Group
from worker.engine.observer import NullObserver, Observer

OptimizerName = Literal["adam", "adamw", "sgd"]
SchedulerName = Literal["constant", "step", "multistep", "cosine", "one_cycle"]

# Where and how watched a run is; none of these changes what it computes on one machine.
_NOT_COMPARED: Final = frozenset(
    {"device", "precision", "checkpoint_dir", "checkpoint_every_s", "checkpoint_every_steps",
     "resume_from", "observer", "group", "on_epoch_start"}
)  # fmt: skip


class FitOptions(TypedDict, total=False):
    """The keyword arguments of `fit`; `Settings` says what each means."""

    epochs: int
    batch_size: int
    optimizer: OptimizerName
    learning_rate: float
    weight_decay: float
    momentum: float
    scheduler: SchedulerName
    step_size: int
    milestones: tuple[int, ...]
    gamma: float
    warmup_epochs: int
    warmup_share: float
    label_smoothing: float
    gradient_accumulation_steps: int
    activation_checkpointing: bool
    max_grad_norm: float | None
    ema_decay: float | None
    augmentation: Augmentation
    mixup_alpha: float
    cutmix_alpha: float
    views: int
    early_stopping_patience: int | None
    seed: int
    deterministic: bool
    device: DeviceName
    precision: PrecisionName
    checkpoint_dir: Path | None
    checkpoint_every_s: float
    checkpoint_every_steps: int | None
    resume_from: Path | None
    observer: Observer
    group: Group
    on_epoch_start: Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """One training run.

    `batch_size` counts examples per optimizer step, which `gradient_accumulation_steps` cuts into
    micro-batches. `mixup_alpha` and `cutmix_alpha` are of a Beta distribution, 0 for none; where
    both are positive, each batch draws one. `momentum` is for sgd; `weight_decay` is decoupled for
    adamw. The step scheduler multiplies the rate by `gamma` every `step_size` epochs, multistep at
    each epoch of `milestones`, counted from 0; one_cycle rises to `learning_rate` over
    `warmup_share` of the run and falls to next to nothing, the others may have `warmup_epochs`.
    With `ema_decay` the average of the weights is what is validated and kept.
    `activation_checkpointing` computes activations twice to hold fewer of them.
    `early_stopping_patience` counts epochs without a better validation accuracy. With `views`
    above 0 the augmentation gives that many fixed views of the training split, one an epoch in
    turn, in place of fresh images each time. `resume_from` is a checkpoint, or a folder of them,
    of which the newest intact one is taken. `on_epoch_start` is told the number of the epoch, from
    0, and of all epochs, also where a run goes on in it. Raises ValueError for what cannot be.
    """

    epochs: int = 30
    batch_size: int = 128
    optimizer: OptimizerName = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    scheduler: SchedulerName = "step"
    step_size: int = 20
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: int = 0
    warmup_share: float = 0.3
    label_smoothing: float = 0.0
    gradient_accumulation_steps: int = 1
    activation_checkpointing: bool = False
    max_grad_norm: float | None = None
    ema_decay: float | None = None
    augmentation: Augmentation = "none"
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    views: int = 0
    early_stopping_patience: int | None = None
    seed: int = 0
    deterministic: bool = True
    device: DeviceName = "auto"
    precision: PrecisionName = "auto"
    checkpoint_dir: Path | None = None
    checkpoint_every_s: float = 30.0
    checkpoint_every_steps: int | None = None
    resume_from: Path | None = None
    observer: Observer = NullObserver()  # noqa: RUF009  # it has no state to share
    group: Group = ALONE
    on_epoch_start: Callable[[int, int], None] = lambda epoch, epochs: None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "gradient_accumulation_steps", "step_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        for name in ("mixup_alpha", "cutmix_alpha"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or positive, got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")
        if self.views < 0 or (self.views and self.augmentation == "none"):
            raise ValueError(f"views of {self.augmentation!r} augmentation cannot be {self.views}")
        self._check_schedule()
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in (0, 1), got {self.ema_decay}")
        for name, names in (
            ("optimizer", OptimizerName),
            ("scheduler", SchedulerName),
            ("augmentation", Augmentation),
        ):
            if getattr(self, name) not in get_args(names):
                raise ValueError(f"unknown {name} {getattr(self, name)!r}")

    def _check_schedule(self) -> None:
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(f"warmup_epochs must be in [0, epochs), got {self.warmup_epochs}")
        if self.scheduler == "one_cycle" and self.warmup_epochs:
            raise ValueError("one_cycle rises by warmup_share; warmup_epochs must be 0")
        if not 0 < self.warmup_share < 1:
            raise ValueError(f"warmup_share must be in (0, 1), got {self.warmup_share}")
        if any(one >= other for one, other in pairwise((0, *self.milestones))):
            raise ValueError(f"milestones must be positive and rise, got {self.milestones}")
        if (self.scheduler == "multistep") != bool(self.milestones):
            raise ValueError("milestones belong to multistep, which needs them")

    def fingerprint(self) -> dict[str, Any]:
        """The options that a resumed run must share with the run it continues."""
        names = (item.name for item in fields(self))
        return {name: getattr(self, name) for name in names if name not in _NOT_COMPARED}


def make_optimizer(parameters: list[nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """The optimizer, in torch's fused form: one pass over memory a step."""
    rate, decay = settings.learning_rate, settings.weight_decay
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
        case "sgd":
            return torch.optim.SGD(
                parameters, rate, momentum=settings.momentum, weight_decay=decay, fused=True
            )
        case _:
            assert_never(settings.optimizer)
