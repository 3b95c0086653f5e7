"""Modelpress: make trained PyTorch models smaller and faster, and prove it.

`Client` talks to a service, `errors` are what it raises; `load` rebuilds a model that one has made.
`Architecture` and `Defaults` are for packages that bring architectures of their own.
"""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.client import Client
from service.client import problems as errors

if TYPE_CHECKING:
    from torch import nn

    from worker.engine.models.architecture import Architecture, Defaults

__all__ = ["Architecture", "Client", "Defaults", "errors", "load"]
__version__ = version("modelpress")


def load(folder: str | Path) -> "nn.Module":
    """The model of a folder (config.json, model.safetensors), in evaluation mode on the CPU.

    Its weights equal the saved ones bit for bit. Needs torch: `pip install modelpress[worker]`.
    Inputs are normalised float32, as config.json says. Raises `ValueError` for a folder that
    holds no model.
    """
    # Imported here: the SDK alone needs no torch.
    from worker.engine.errors import EngineError
    from worker.engine.models.folder import load_folder

    try:
        return load_folder(Path(folder)).module
    except EngineError as error:
        raise ValueError(f"{folder} holds no model that can be loaded: {error}") from error


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for."""
    if name not in ("Architecture", "Defaults"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from worker.engine.models import architecture

    return getattr(architecture, name)
