"""Whether bf16 is good enough for a model, seen on its first batch. Shapes: B batch, K classes."""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worker.engine.device import Precision, PrecisionName, autocast, resolve_precision

# bf16 keeps 8 bits of a number; a network of some depth loses no more than this of its loss.
_RELATIVE: Final = 0.02
_ABSOLUTE: Final = 0.02


@torch.no_grad()
def agreed_precision(
    name: PrecisionName, model: nn.Module, inputs: Tensor, labels_B: Tensor
) -> tuple[Precision, str | None]:
    """The arithmetic to train in; with a warning where `auto` had to fall back to fp32.

    `auto` takes what the device is fast in if the model's loss on `inputs`, in evaluation mode,
    differs from that in fp32 by no more than 2 % plus 0.02. An arithmetic that was asked for by
    name is not doubted. Examples without a label (−1) are judged by what fp32 says they are.
    """
    precision = resolve_precision(name, inputs.device)
    if name != "auto" or precision == "fp32":
        return precision, None
    was_training = model.training
    model.eval()
    try:
        exact_BK = model(inputs).float()
        with autocast(inputs.device, precision):
            rough_BK = model(inputs).float()
    finally:
        model.train(was_training)
    targets_B = torch.where(labels_B < 0, exact_BK.argmax(1), labels_B)
    exact, rough = (float(F.cross_entropy(x, targets_B)) for x in (exact_BK, rough_BK))
    # Weights that are broken in fp32 too are for the loop to report.
    if not math.isfinite(exact) or abs(rough - exact) <= _ABSOLUTE + _RELATIVE * exact:
        return precision, None
    return resolve_precision("fp32", inputs.device), (
        f"trained in fp32: the first batch has a loss of {exact:.4g} there and of {rough:.4g} in "
        f"{precision}"
    )
