"""A copy of a model that only answers, made for speed. Shapes: B batch, K classes."""

import copy
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from worker.engine.device import Precision

_TYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# On processors the activations of so many images stay in the caches; of more, they do not.
_MOST_AT_ONCE: Final = 64
# Mean difference from the model's logits, as a share of their spread, that is still rounding.
_ROUNDING: Final = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.01}


@dataclass(frozen=True)
class Answering:
    """Gives a model's logits without a graph, in its own arithmetic whatever autocast says.

    The copy holds the weights in that arithmetic, channels-last, and BatchNorm inside the
    convolutions before it; `inputs` to compare it with the model come from the training data.
    Where the copy says something else, or the model cannot be traced, the model itself is asked
    under autocast.
    """

    model: nn.Module
    copied: nn.Module | None
    precision: Precision

    @classmethod
    def of(cls, model: nn.Module, inputs: Tensor, precision: Precision) -> "Answering":
        """`model` is in evaluation mode, on the device of `inputs` (float32), and stays as it is.

        Forward hooks of the model do not hear the copy.
        """
        dtype = _TYPES[precision]
        for made in (_folded(model), copy.deepcopy(model)):
            if made is None:
                continue
            made.to(dtype).requires_grad_(False)
            if inputs.ndim == 4:
                made.to(memory_format=torch.channels_last)
            if _says_the_same(model, made, inputs, dtype):
                return cls(model, made, precision)
        return cls(model, None, precision)

    # Not inference_mode: its tensors cannot be saved for another model's backward pass.
    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits [B, K], of normalised float32 inputs."""
        dtype = _TYPES[self.precision]
        if self.copied is None:
            with torch.autocast(inputs.device.type, dtype, enabled=self.precision != "fp32"):
                logits_BK: Tensor = self.model(inputs)
                return logits_BK
        at_once = _MOST_AT_ONCE if inputs.device.type == "cpu" else len(inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            said = [self.copied(part) for part in torch.split(inputs.to(dtype), at_once)]
        return said[0] if len(said) == 1 else torch.cat(said)


def _folded(model: nn.Module) -> nn.Module | None:
    try:
        return fuse(model)
    except Exception:  # tracing runs the model's own code, which may raise anything
        return None


@torch.no_grad()
def _says_the_same(model: nn.Module, made: nn.Module, inputs: Tensor, dtype: torch.dtype) -> bool:
    try:
        said = made(inputs.to(dtype)).float()
    except RuntimeError:
        return False  # it makes tensors of its own, in float32
    expected = model(inputs).float()
    difference = float((said - expected).abs().mean())
    return difference <= _ROUNDING[dtype] * float(expected.std()) + 1e-6
