"""How large a model is."""

from pathlib import Path

from torch import nn

from worker.engine.models.folder import weights_path
from worker.engine.models.graph import Graph
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS


def parameters(model: nn.Module) -> int:
    """Number of parameters; buffers such as batch norm's statistics are not counted.

    Of a runtime graph, the elements of its weights, into which such statistics may be folded.
    """
    if isinstance(model, Graph):
        return model.elements
    return sum(parameter.numel() for parameter in model.parameters())


def nonzero_parameters(model: nn.Module) -> int:
    """Parameters that are not zero."""
    if isinstance(model, Graph):
        return model.nonzero_elements
    return sum(int(parameter.count_nonzero()) for parameter in model.parameters())


def size_bytes(folder: Path) -> int:
    """Bytes of a saved model's weights file, or of its graph."""
    return weights_path(folder).stat().st_size


def smallest_bytes(folder: Path) -> int:
    """The same of the smallest: beside the weights there may be a file of them without zeros."""
    sparse = folder / SPARSE_WEIGHTS
    dense = size_bytes(folder)
    return min(dense, sparse.stat().st_size) if sparse.exists() else dense
