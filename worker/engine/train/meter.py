"""Sums over an epoch, kept on the device, so that no step waits for a number to be read."""

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from worker.engine.errors import Diverged
from worker.engine.group import ALONE, Group
from worker.engine.train.objective import Loss

_NEVER: Final = 2**62


@dataclass(frozen=True)
class Reading:
    """Means over the epoch so far; NaN where there was no example yet."""

    losses: dict[str, float]
    accuracy: float


class EpochMeter:
    """Adds up losses, and hits among what has a label; remembers the first step at which a number
    was not finite.

    Of a group, each process adds what it saw, and all read, check and ask for the state together.
    """

    def __init__(self, device: torch.device, group: Group = ALONE) -> None:
        self._device, self._group = device, group
        self.examples = 0
        self.seconds = 0.0
        self._sums: dict[str, Tensor] = {}
        self._hits = torch.zeros((), dtype=torch.int64, device=device)
        self._labelled = torch.zeros((), dtype=torch.int64, device=device)
        self._first_bad = torch.full((), _NEVER, dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, loss: Loss, logits_BK: Tensor, labels_B: Tensor, examples: int) -> None:
        """This process's rows, which may be none, of a micro-batch of `examples`."""
        count = len(labels_B)
        self.examples += examples
        for name, value in (("total", loss.total), *loss.terms.items()):
            weighted = value.detach().double() * count
            self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted
        self._hits += (logits_BK.argmax(1) == labels_B).sum()
        self._labelled += (labels_B >= 0).sum()

    @torch.no_grad()
    def watch(self, value: Tensor, step: int) -> None:
        """Note whether a scalar of step number `step` is finite."""
        here = torch.where(torch.isfinite(value.detach()), _NEVER, step)
        self._first_bad = torch.minimum(self._first_bad, here)

    def check(self, epoch: int) -> None:
        """Raise `Diverged` if a watched scalar was not finite. Waits for the device."""
        step = self._group.lowest(int(self._first_bad))
        if step != _NEVER:
            raise Diverged(f"loss or gradient is not finite at step {step}, epoch {epoch}")

    def read(self) -> Reading:
        """The means so far. Waits for the device."""
        if not self.examples:
            return Reading({}, math.nan)
        sums, hits, labelled = self._added()
        losses = {name: float(value) / self.examples for name, value in sums.items()}
        return Reading(losses, int(hits) / max(int(labelled), 1))

    def state(self) -> dict[str, Any]:
        """Everything, as tensors and plain values."""
        sums, hits, labelled = self._added()
        return {
            "examples": self.examples,
            "seconds": self.seconds,
            "sums": sums,
            "hits": hits,
            "labelled": labelled,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state that was made anywhere."""
        self.examples, self.seconds = state["examples"], state["seconds"]
        self._sums = {name: value.to(self._device) for name, value in state["sums"].items()}
        self._hits = state["hits"].to(self._device)
        self._labelled = state["labelled"].to(self._device)
        self._first_bad.fill_(_NEVER)
        if not self._group.is_first:  # the first one's count for all
            for value in (*self._sums.values(), self._hits, self._labelled):
                value.zero_()

    def _added(self) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The sums over all processes; this one's own stay as they are."""
        if self._group.size == 1:
            return self._sums, self._hits, self._labelled
        sums = {name: value.clone() for name, value in self._sums.items()}
        hits, labelled = self._hits.clone(), self._labelled.clone()
        self._group.add(list(sums.values()))
        self._group.add([hits, labelled])
        return sums, hits, labelled
