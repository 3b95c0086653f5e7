"""safetensors: the weights alone, for who has the architecture."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from worker.engine.errors import NotExportable
from worker.engine.export.file import ExportedFile
from worker.engine.models.folder import LoadedModel, build, load_weights
from worker.engine.models.graph import Graph


def to_safetensors(
    loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
) -> ExportedFile:
    """Loaded again into the architecture as `config.json` has it. Threads are torch's own."""
    if isinstance(loaded.module, Graph):
        raise NotExportable("a runtime graph has no named weights", "Ask for onnx or openvino.")
    tensors = {name: tensor.contiguous() for name, tensor in loaded.module.state_dict().items()}
    save_file(tensors, path, metadata={"format": "pt", **facts})
    again = build(loaded.config)
    load_weights(again, path)
    again.eval()

    @torch.no_grad()
    def predict(x: Tensor) -> Tensor:
        logits: Tensor = again(x)
        return logits

    return ExportedFile(path, f"safetensors {version('safetensors')}", predict)
