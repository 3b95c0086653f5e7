"""Quantization-aware training: the forward pass rounds as int8 does, gradients pass through it.

Jacob et al. 2018, arXiv:1712.05877, by torchao's PT2E.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn.modules.batchnorm import _BatchNorm
from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

from worker.engine.device import has_int8_products
from worker.engine.quantize.annotate import NORMS, WEIGHT_LIMITS, Int8Quantizer
from worker.engine.quantize.integer import quiet
from worker.engine.quantize.program import Ranges, activations, exported, ranges_of

_TRAINING: Final[dict[Any, int]] = {**dict.fromkeys(NORMS, 5), torch.ops.aten.dropout.default: 2}
"""Operators with a mode, and the place of it among their arguments."""
_LEAST_SCALE: Final = 1e-5  # of a norm's weight, by which torchao's pattern divides
_EPS: Final = 1e-5  # of torchao's pattern of a convolution and its norm, whatever the norm's is


class QuantAware(nn.Module):
    """A copy of a module that rounds the layers which `takes` accepts, to be trained.

    It starts from `ranges`, which follow the training until `freeze_after` of its epochs are over;
    then they and the statistics of batch norm stand still. Ranges of weights are always those of
    the weights. Its `start_epoch` has to be told.
    """

    def __init__(
        self,
        module: nn.Module,
        example: Tensor,
        takes: Callable[[str], bool],
        ranges: Ranges,
        *,
        freeze_after: float = 0.5,
    ) -> None:
        super().__init__()
        self._freeze_after, self._is_frozen = freeze_after, False
        with quiet("exported"):
            self._base = [_as_torchao_has_it(module)]  # in a list: no part that is trained
            program = exported(self._base[0], example)
            limit = WEIGHT_LIMITS[has_int8_products()]
            quantizer = Int8Quantizer(takes, weight_limit=limit, aware=True)
            self.program = prepare_qat_pt2e(program, quantizer)
            self._moded = [node for node in self.program.graph.nodes if node.target in _TRAINING]
            self.eval()
            self._begin(example, ranges)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.program(x)
        return logits

    def train(self, mode: bool = True) -> "QuantAware":
        """A program has its modes among the arguments of its operators."""
        self.training = mode
        for node in self._moded:
            _set_mode(node, mode and not (self._is_frozen and node.target in NORMS))
        self.program.recompile()
        for one in activations(self.program):
            one.enable_observer(mode and not self._is_frozen)
        return self

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Epoch number `epoch`, from 0, of `epochs` begins."""
        self._is_frozen = epoch >= max(1, round(self._freeze_after * epochs))

    def ranges(self) -> Ranges:
        """Of the activations, as they were left."""
        return ranges_of(
            (one.key, one.activation_post_process) for one in activations(self.program)
        )

    def trained(self) -> nn.Module:
        """A copy of the module with the trained weights, in evaluation mode."""
        state = self.program.state_dict()
        module = copy.deepcopy(self._base[0])
        own = {name: state[name] for name in module.state_dict() if name in state}
        module.load_state_dict(own, strict=False)
        return module

    @torch.no_grad()
    def _begin(self, example: Tensor, ranges: Ranges) -> None:
        self.program(example)  # scales of weights get their shapes
        for one in activations(self.program):
            observer = one.activation_post_process
            observer.min_val, observer.max_val = (value.clone() for value in ranges[one.key])
            scale, zero_point = one.calculate_qparams()
            one.scale.copy_(scale)
            one.zero_point.copy_(zero_point)


def _set_mode(node: Node, mode: bool) -> None:
    place = _TRAINING[node.target]
    arguments: list[Any] = list(node.args)
    arguments[place] = mode
    node.args = tuple(arguments)


@torch.no_grad()
def _as_torchao_has_it(module: nn.Module) -> nn.Module:
    """A copy that answers alike: what a norm has more of eps goes into its variance, and a channel
    that it switches off is next to off."""
    copied = copy.deepcopy(module).cpu().eval().requires_grad_(True)
    for norm in copied.modules():
        if isinstance(norm, _BatchNorm) and norm.running_var is not None:
            norm.running_var.add_(norm.eps - _EPS).clamp_(min=0)
            norm.eps = _EPS
            if norm.affine:
                norm.weight[norm.weight.abs() < _LEAST_SCALE] = _LEAST_SCALE
    return copied
