"""What a runtime is: how it writes a saved model down for itself, and how it runs that."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from worker.engine.device import Precision
from worker.engine.errors import NotExportable
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import load_any, read_config
from worker.engine.seeds import generator

# Between two implementations of float32 convolutions; relative to the largest logit.
TOLERANCE: Final = 1e-3
# bf16 keeps 8 bits of a number, and its errors add up from layer to layer.
_HALF_TOLERANCE: Final = 0.2


@dataclass(frozen=True)
class Runner:
    """A prepared forward pass; calling it runs one and throws the result away.

    `predict` maps normalised inputs [B, …] on the CPU to logits on the CPU, B being the
    prepared batch size or any other. `precision` is what the runtime says it computes in.
    `on_stream` tells that CUDA events see its work. `max_abs_difference` is against eager float32
    on one random batch, 0 until `checked_difference` was asked.
    """

    forward: Callable[[], Any]
    predict: Callable[[Tensor], Tensor]
    precision: str
    on_stream: bool = False
    max_abs_difference: float = 0.0

    def __call__(self) -> None:
        self.forward()


@dataclass(frozen=True)
class Setting:
    """What a runtime prepares itself for; `threads` is for one operator."""

    batch_size: int
    device: torch.device
    threads: int
    precision: Precision = "fp32"


class Write(Protocol):
    """Writes a model folder as the one file that the runtime loads."""

    def __call__(
        self, folder: Path, file: Path, *, device: torch.device, precision: Precision
    ) -> None:
        """`precision` counts where it is the file that decides what is computed in.

        Raises `NotExportable`, `RuntimeMissing` or `UnsupportedDevice`."""


class Load(Protocol):
    """Loads what was written, or the folder itself where the runtime writes nothing."""

    def __call__(self, folder: Path, file: Path, setting: Setting) -> Runner:
        """Threads are set for the whole process where the runtime has it so.

        Raises `NotExportable`, `RuntimeMissing` or `UnsupportedDevice`. One that has no such
        precision runs float32 and says so.
        """


@dataclass(frozen=True)
class Runtime:
    """`write` is None for a runtime that runs the folder; `name` is that of the file. `compiles`
    tells that its first answer compiles, and that a later process may find what it left."""

    load: Load
    write: Write | None = None
    name: str = "model.onnx"
    compiles: bool = False

    def __call__(
        self,
        folder: Path,
        *,
        batch_size: int,
        device: torch.device,
        threads: int,
        precision: Precision = "fp32",
    ) -> Runner:
        """Write, load, and hold its answers against the model's; `folder` may go away afterwards.

        Raises what `write` and `load` raise, and `NotExportable` where the answers differ.
        """
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / self.name
            if self.write is not None:
                self.write(folder, file, device=device, precision=precision)
            runner = self.load(folder, file, Setting(batch_size, device, threads, precision))
        inputs = inputs_of(read_config(folder), batch_size)
        found = checked_difference(
            runner.predict(inputs), reference_of(folder, inputs), runner.precision
        )
        return replace(runner, max_abs_difference=found)


def inputs_of(config: ModelConfig, batch_size: int) -> Tensor:
    """Inputs drawn like normalised data: zero mean, unit variance; the same at every call."""
    draw = generator(0, "runtime inputs", batch_size)
    return torch.randn(batch_size, *config.input_size, generator=draw)


@torch.inference_mode()
def reference_of(folder: Path, inputs: Tensor) -> Tensor:
    """Logits of the saved model in eager float32; a graph is its own reference."""
    logits: Tensor = load_any(folder).module(inputs)
    return logits


def checked_difference(logits: Tensor, reference: Tensor, precision: str) -> float:
    """The largest difference. Raises `NotExportable` where it is more than its precision's."""
    tolerance = TOLERANCE if precision == "fp32" else _HALF_TOLERANCE
    difference = float((logits - reference).abs().max())
    if not difference <= tolerance * max(1.0, float(reference.abs().max())):
        raise NotExportable(f"the exported model's logits differ by {difference:.3g}")
    return difference
