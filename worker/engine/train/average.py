"""An average of the weights over training, which is often the better model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's weights and of the statistics in its buffers.

    After step t its decay is min(decay, (1 + t) / (10 + t)), so that the first weights, which are
    random, are soon forgotten. With `decay` None it is no average: the model itself is judged.
    Buffers of integers are not averaged.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self._decay = decay
        self._steps = 0
        self._live = [
            tensor
            for tensor in model.state_dict(keep_vars=True).values()
            if decay is not None and tensor.is_floating_point()
        ]
        self._average = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """After every optimizer step."""
        if self._decay is None:
            return
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        # One kernel for all tensors, as the fused optimizers have it.
        torch._foreach_lerp_(self._average, [t.detach() for t in self._live], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model holds the average within, and its own weights again afterwards."""
        kept = [tensor.detach().clone() for tensor in self._live]
        _fill(self._live, self._average)
        try:
            yield
        finally:
            _fill(self._live, kept)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors and plain values."""
        return {"steps": self._steps, "average": self._average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`, which was made anywhere."""
        self._steps = state["steps"]
        if len(state["average"]) != len(self._average):
            raise ValueError("the average is of another model")
        _fill(self._average, state["average"])


@torch.no_grad()
def _fill(targets: list[Tensor], sources: list[Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)
