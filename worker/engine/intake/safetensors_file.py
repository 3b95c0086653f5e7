"""Bare weights as safetensors."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from worker.engine.errors import InvalidModel
from worker.engine.intake.upload import Upload


def read_safetensors(path: Path) -> Upload:
    """Its tensors, as views of the file. Raises `InvalidModel`."""
    try:
        return Upload(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InvalidModel(f"cannot read the weights: {error}") from error
