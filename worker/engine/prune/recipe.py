"""What to prune by, without the amount."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from worker.engine.prune.allocate import NOTHING_BEFORE
from worker.engine.prune.importance import CRITERIA
from worker.engine.prune.structured import Amount

MethodName = Literal["structured", "unstructured", "n_m", "structured_mask"]
AllocationName = Literal["uniform", "global", "adaptive"]
IMPORTANCES_OF: Final[Mapping[MethodName, tuple[str, ...]]] = {
    "structured": CRITERIA,
    "unstructured": ("magnitude", "random"),
    "n_m": ("magnitude",),
    "structured_mask": ("magnitude",),
}


@dataclass(frozen=True)
class Recipe:
    """`importance` is a name of `importance.CRITERIA`; masks know "magnitude" and "random".

    `layer_ratios`, `max_pruning_ratio` and `round_to` are for structured pruning, `n` of `m` for
    n_m, whose amount is 1 − n/m whatever is asked for. With `keep_one` a layer of which an amount
    would leave nothing keeps one channel.
    """

    method: MethodName = "structured"
    importance: str = "magnitude"
    allocation: AllocationName = "uniform"
    ignored_layers: tuple[str, ...] = ()
    layer_ratios: Mapping[str, float] = field(default_factory=dict)
    max_pruning_ratio: float = 0.95
    round_to: int = 1
    keep_one: bool = False
    n: int = 2
    m: int = 4
    seed: int = 0

    def amount(
        self,
        ratio: float,
        progress: float = 1.0,
        before: Mapping[str, int] = NOTHING_BEFORE,
    ) -> Amount:
        """A structured amount; adaptive allocation starts from a uniform one.

        Ratios of single layers are times `progress`, the share of a schedule's way that is gone.
        """
        return Amount(
            ratio,
            allocation="global" if self.allocation == "global" else "uniform",
            layer_ratios={name: own * progress for name, own in self.layer_ratios.items()},
            max_pruning_ratio=self.max_pruning_ratio,
            round_to=self.round_to,
            keep_one=self.keep_one,
            before=before,
        )
