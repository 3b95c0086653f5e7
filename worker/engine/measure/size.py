"""How large a model is."""

from pathlib import Path

from torch import nn

from worker.engine.models.folder import WEIGHTS


def parameters(model: nn.Module) -> int:
    """Number of parameters; buffers such as batch norm's statistics are not counted."""
    return sum(parameter.numel() for parameter in model.parameters())


def nonzero_parameters(model: nn.Module) -> int:
    """Parameters that are not zero."""
    return sum(int(parameter.count_nonzero()) for parameter in model.parameters())


def size_bytes(folder: Path) -> int:
    """Bytes of a saved model's weights file."""
    return (folder / WEIGHTS).stat().st_size
