"""The way to torchao, which is imported when it is needed: that takes seconds."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from worker.engine.errors import NotQuantizable, RuntimeMissing
from worker.engine.models.graph import Graph
from worker.engine.quantize.calibration import Array

if TYPE_CHECKING:
    from worker.engine.quantize.program import Ranges, TorchaoQuantizer


def torchao_tool(
    module: nn.Module, content: bytes, batches: Sequence[Array], ranges: "Ranges | None" = None
) -> "TorchaoQuantizer":
    """A `TorchaoQuantizer`. Raises `RuntimeMissing` without torchao, and `NotQuantizable` for a
    graph, or what cannot be exported."""
    check_torchao(module)
    from worker.engine.quantize.program import TorchaoQuantizer

    return TorchaoQuantizer(module, content, batches, ranges)


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
