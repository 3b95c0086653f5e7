"""Whether an exported file answers as the model does. Shapes: N examples, K classes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from worker.engine.data.split import Split
from worker.engine.errors import NotExportable
from worker.engine.measure.runner import TOLERANCE
from worker.engine.models.config import ModelConfig
from worker.engine.seeds import generator
from worker.engine.train.evaluate import agreement, predict

_RANDOM_INPUTS: Final = 64


@dataclass(frozen=True)
class Parity:
    """Differences of logits, and the share of examples with the same top prediction.

    `tolerance` is the largest difference that passes, in the logits' unit.
    """

    samples: int
    max_abs_difference: float
    mean_abs_difference: float
    agreement: float
    tolerance: float


class Called(nn.Module):
    """A function on CPU tensors as a module, to be scored as models are."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        """The logits on the device of `x`."""
        return self._function(x.float().cpu()).to(x.device)


def random_inputs(config: ModelConfig) -> Split:
    """Inputs for a model without data, drawn like normalised ones and then taken back."""
    draw = generator(0, "export inputs", _RANDOM_INPUTS)
    x = torch.randn(_RANDOM_INPUTS, *config.input_size, generator=draw)
    shape = (1, -1, *(1,) * (len(config.input_size) - 1))
    mean, std = torch.tensor(config.mean).view(shape), torch.tensor(config.std).view(shape)
    return Split(x * std + mean, torch.zeros(_RANDOM_INPUTS, dtype=torch.int64))


def logits_of(function: Callable[[Tensor], Tensor], config: ModelConfig, split: Split) -> Tensor:
    """Logits [N, K] of whatever runs a model, float32 on the CPU."""
    module = function if isinstance(function, nn.Module) else Called(function)
    return predict(module, split, config.mean, config.std)


def compare(exported_NK: Tensor, reference_NK: Tensor) -> Parity:
    """Raises `NotExportable` where the largest difference is out of tolerance."""
    differences = (exported_NK - reference_NK).abs()
    tolerance = TOLERANCE * max(1.0, float(reference_NK.abs().max()))
    largest = float(differences.max())
    if not largest <= tolerance:  # also NaN
        raise NotExportable(
            f"its logits differ from the model's by {largest:.3g}, more than {tolerance:.3g}"
        )
    return Parity(
        samples=len(reference_NK),
        max_abs_difference=largest,
        mean_abs_difference=float(differences.double().mean()),
        agreement=agreement(exported_NK, reference_NK),
        tolerance=tolerance,
    )
