"""pt2: the program that `torch.export` takes down, any batch size."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from worker.engine.errors import NotExportable
from worker.engine.export.file import EXAMPLE_BATCH, ExportedFile
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph

FACTS: Final = "modelpress.json"


def to_pt2(
    loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
) -> ExportedFile:
    """`facts` are the extra file modelpress.json. Threads are torch's own."""
    if isinstance(loaded.module, Graph):
        raise NotExportable("a runtime graph is no PyTorch program", "Ask for onnx or openvino.")
    example = torch.zeros(EXAMPLE_BATCH, *loaded.config.input_size)
    module = loaded.module.to(memory_format=torch.contiguous_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own internals
        try:
            batch = torch.export.Dim("batch")
            program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
            torch.export.save(program, path, extra_files={FACTS: json.dumps(dict(facts))})
        except Exception as error:  # it raises whatever its passes raise
            name = loaded.config.architecture
            raise NotExportable(
                f"{name} cannot be exported to pt2: {type(error).__name__}"
            ) from error
        # Loading a pt2 file may run what is in it: this one was written three lines above.
        again = torch.export.load(path).module()

    @torch.no_grad()
    def predict(x: Tensor) -> Tensor:
        logits: Tensor = again(x)
        return logits

    return ExportedFile(path, f"torch {torch.__version__}", predict)
