"""How much arithmetic a forward pass is."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from worker.engine.models.graph import Graph


def macs(model: nn.Module, input_size: Sequence[int]) -> int | None:
    """Multiply–accumulates of convolutions and matrix products for one input of `input_size`.

    Biases, activations, normalisation and pooling are not counted, as is the field's custom.
    None for a runtime graph whose shapes are not known.
    """
    if isinstance(model, Graph):
        return model.macs
    parameter = next(model.parameters())
    one_input = torch.zeros(1, *input_size, device=parameter.device, dtype=parameter.dtype)
    was_training = model.training
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.eval()(one_input)
    finally:
        model.train(was_training)
    # The counter takes a multiply and an add for two.
    return int(counter.get_total_flops()) // 2
