"""The way to torchao, which is imported when it is needed: that takes seconds."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from worker.engine.errors import NotQuantizable, RuntimeMissing
from worker.engine.models.graph import Graph
from worker.engine.quantize.calibration import Array

if TYPE_CHECKING:
    from worker.engine.quantize.aware import QuantAware
    from worker.engine.quantize.program import Ranges, TorchaoQuantizer


def torchao_tool(module: nn.Module, content: bytes, batches: Sequence[Array]) -> "TorchaoQuantizer":
    """A `TorchaoQuantizer`. Raises `RuntimeMissing` without torchao, and `NotQuantizable` for a
    graph, or what cannot be exported."""
    check_torchao(module)
    from worker.engine.quantize.program import TorchaoQuantizer

    return TorchaoQuantizer(module, content, batches)


def quant_aware(
    module: nn.Module,
    example: Tensor,
    takes: Callable[[str], bool],
    ranges: "Ranges",
    *,
    freeze_after: float,
) -> "QuantAware":
    """A `QuantAware`. Raises as `torchao_tool`."""
    check_torchao(module)
    from worker.engine.quantize.aware import QuantAware

    return QuantAware(module, example, takes, ranges, freeze_after=freeze_after)


def check_torchao(module: nn.Module) -> None:
    """Raises `RuntimeMissing` without torchao, and `NotQuantizable` for a graph."""
    if isinstance(module, Graph):
        raise NotQuantizable(
            "torchao works on the model in PyTorch, not on a graph", hint="Ask for another tool."
        )
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # of its own enumerations
    try:
        import torchao  # noqa: F401  # heavy
    except ImportError as error:
        raise RuntimeMissing("torchao is not installed on this worker") from error
