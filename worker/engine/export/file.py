"""What an exporter makes: a file, and the file loaded again in the runtime that it is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from torch import Tensor

from worker.engine.models.folder import LoadedModel

EXAMPLE_BATCH: Final = 2  # a batch of one would be baked into the program


@dataclass(frozen=True)
class ExportedFile:
    """`predict` runs the written file: float32 [B, …] on the CPU to logits on the CPU.

    `runtime` is what ran it, with its version; `opset` is ONNX's, None for other formats.
    """

    path: Path
    runtime: str
    predict: Callable[[Tensor], Tensor]
    opset: int | None = None


class Exporter(Protocol):
    """Writes a model, whose module is on the CPU in evaluation mode, and loads what it wrote."""

    def __call__(
        self, loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
    ) -> ExportedFile:
        """`facts` go into the file where its format has a place for them. `threads` is for one
        operator. Raises `NotExportable`, or `RuntimeMissing` where this machine has no runtime."""
