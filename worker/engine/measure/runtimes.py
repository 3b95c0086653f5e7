"""What runs a saved model: the same folder, the same inputs, one forward pass at a time."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from worker.engine.device import Precision, autocast
from worker.engine.errors import NotExportable, UnsupportedDevice
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, is_graph, load_folder, read_config
from worker.engine.models.graph import GRAPH, Graph, available_providers
from worker.engine.seeds import generator

# Between two implementations of float32 convolutions; relative to the largest logit.
_TOLERANCE: Final = 1e-3
_GRAPH_ADVICE: Final = "Ask for runtimes ['onnxruntime']."


@dataclass(frozen=True)
class Runner:
    """A prepared forward pass; calling it runs one and throws the result away.

    `predict` maps normalised inputs [B, …] on the CPU to logits on the CPU, B being the
    prepared batch size or any other. `max_abs_difference` is against eager float32 on one
    random batch.
    """

    forward: Callable[[], Any]
    predict: Callable[[Tensor], Tensor]
    precision: str
    max_abs_difference: float

    def __call__(self) -> None:
        self.forward()


class Prepare(Protocol):
    """Makes a runner from a model folder, which may go away afterwards."""

    def __call__(
        self,
        folder: Path,
        *,
        batch_size: int,
        device: torch.device,
        threads: int,
        precision: Precision = "fp32",
    ) -> Runner:
        """`threads` is for one operator. Raises `NotExportable` or `UnsupportedDevice`."""


def eager(
    folder: Path,
    *,
    batch_size: int,
    device: torch.device,
    threads: int,
    precision: Precision = "fp32",
) -> Runner:
    """PyTorch as it is. `threads` is set for the whole process."""
    if is_graph(read_config(folder)):
        raise NotExportable("a runtime graph runs in ONNX Runtime only", _GRAPH_ADVICE)
    torch.set_num_threads(threads)
    loaded = load_folder(folder)
    inputs = _inputs(loaded.config, batch_size)
    reference = _logits(loaded.module, inputs)
    # The same layout as in training: the one that convolutions run faster.
    layout = torch.channels_last if inputs.ndim == 4 else torch.contiguous_format
    module = loaded.module.to(device).to(memory_format=layout)
    ready = inputs.to(device, memory_format=layout)

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode(), autocast(device, precision):
            logits: Tensor = module(x)
            return logits

    def predict(x: Tensor) -> Tensor:
        return run(x.to(device, memory_format=layout)).float().cpu()

    difference = float((predict(inputs) - reference).abs().max())
    return Runner(lambda: run(ready), predict, precision, difference)


def onnxruntime(
    folder: Path,
    *,
    batch_size: int,
    device: torch.device,
    threads: int,
    precision: Precision = "fp32",
) -> Runner:
    """ONNX Runtime on the exported graph, or the graph that the model is; inputs in float32."""
    provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
    if provider not in available_providers():
        raise UnsupportedDevice(f"this onnxruntime has no {provider}")
    config = read_config(folder)
    loaded = None if is_graph(config) else load_folder(folder)
    content = (folder / GRAPH).read_bytes() if loaded is None else export_onnx(loaded)
    graph = Graph(content, threads=threads, provider=provider)
    inputs = _inputs(config, batch_size)
    ready = inputs.numpy()
    # A graph that was uploaded is its own reference.
    reference = graph(inputs) if loaded is None else _logits(loaded.module, inputs)
    difference = _checked_difference(graph(inputs), reference)
    return Runner(lambda: graph.run(ready), graph, "fp32", difference)


RUNTIMES: Final[Mapping[str, Prepare]] = {"eager": eager, "onnxruntime": onnxruntime}


def export_onnx(loaded: LoadedModel) -> bytes:
    """The model as one ONNX file, batch size dynamic: "input" to "logits"."""
    # A batch of one would be baked into the graph.
    example = _inputs(loaded.config, 2)
    module = loaded.module.to(memory_format=torch.contiguous_format).cpu().eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        path = Path(scratch) / "model.onnx"
        try:
            torch.onnx.export(
                module,
                (example,),
                path,
                input_names=["input"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # the exporter raises whatever its passes raise
            raise NotExportable(
                f"{loaded.config.architecture} cannot be exported to ONNX: {type(error).__name__}"
            ) from error
        return path.read_bytes()


def _checked_difference(logits: Tensor, reference: Tensor) -> float:
    difference = float((logits - reference).abs().max())
    if not difference <= _TOLERANCE * max(1.0, float(reference.abs().max())):
        raise NotExportable(f"the exported model's logits differ by {difference:.3g}")
    return difference


def _inputs(config: ModelConfig, batch_size: int) -> Tensor:
    # Drawn like normalised data: zero mean, unit variance.
    draw = generator(0, "runtime inputs", batch_size)
    return torch.randn(batch_size, *config.input_size, generator=draw)


@torch.inference_mode()
def _logits(module: nn.Module, inputs: Tensor) -> Tensor:
    logits: Tensor = module(inputs)
    return logits
