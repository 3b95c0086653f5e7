"""PyTorch: as it is, compiled at the first call, and compiled ahead into one file."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from worker.engine.device import Precision, autocast
from worker.engine.errors import NotExportable
from worker.engine.export.file import EXAMPLE_BATCH
from worker.engine.measure.runner import Runner, Runtime, Setting, inputs_of
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import is_graph, load_folder, read_config

_GRAPH_ADVICE: Final = "Ask for runtimes ['onnxruntime']."

Forward = Callable[[Tensor], Tensor]


def _load_eager(folder: Path, file: Path, setting: Setting) -> Runner:
    """PyTorch as it is."""
    config, module = _module(folder, setting.device, setting.threads)
    return _runner(module, config, setting)


def _load_compiled(folder: Path, file: Path, setting: Setting) -> Runner:
    """`torch.compile` with its defaults, for this batch size: the first call compiles."""
    config, module = _module(folder, setting.device, setting.threads)
    return _runner(torch.compile(module, dynamic=False), config, setting)


def _write_aoti(folder: Path, file: Path, *, device: torch.device, precision: Precision) -> None:
    config, module = _module(folder, device, torch.get_num_threads())
    example = inputs_of(config, EXAMPLE_BATCH).to(device, memory_format=_layout(config))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the compiler's own internals
        try:
            # The upper bound that the contract has for batches.
            batch = torch.export.Dim("batch", min=1, max=4096)
            program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
            torch._inductor.aoti_compile_and_package(program, package_path=str(file))
        except Exception as error:  # the compiler raises whatever its passes raise
            raise NotExportable(
                f"{config.architecture} cannot be compiled ahead: {type(error).__name__}"
            ) from error


def _load_aoti(folder: Path, file: Path, setting: Setting) -> Runner:
    """The package holds compiled code: it must be one that `_write_aoti` wrote."""
    torch.set_num_threads(setting.threads)
    config = read_config(folder)
    program: Any = torch._inductor.aoti_load_package(str(file))
    return _runner(program, config, replace(setting, precision="fp32"))


def _module(folder: Path, device: torch.device, threads: int) -> tuple[ModelConfig, nn.Module]:
    if is_graph(read_config(folder)):
        raise NotExportable("a runtime graph runs in ONNX Runtime only", _GRAPH_ADVICE)
    torch.set_num_threads(threads)
    loaded = load_folder(folder)
    # The same layout as in training: the one that convolutions run faster.
    return loaded.config, loaded.module.to(device).to(memory_format=_layout(loaded.config))


def _layout(config: ModelConfig) -> torch.memory_format:
    return torch.channels_last if len(config.input_size) == 3 else torch.contiguous_format


def _runner(forward: Forward, config: ModelConfig, setting: Setting) -> Runner:
    device, precision = setting.device, setting.precision
    layout = _layout(config)
    ready = inputs_of(config, setting.batch_size).to(device, memory_format=layout)

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode(), autocast(device, precision):
            return forward(x)

    def predict(x: Tensor) -> Tensor:
        return run(x.to(device, memory_format=layout)).float().cpu()

    return Runner(lambda: run(ready), predict, precision, on_stream=device.type == "cuda")


eager: Final = Runtime(_load_eager)
torch_compile: Final = Runtime(_load_compiled, compiles=True)
aotinductor: Final = Runtime(_load_aoti, _write_aoti, "model.pt2")
