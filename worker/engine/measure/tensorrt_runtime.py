"""TensorRT on GPUs: an engine built for the GPU that it is measured on."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from worker.engine.device import Precision
from worker.engine.measure.runner import Runner, Runtime, Setting, inputs_of
from worker.engine.models.folder import is_graph, load_any, read_config
from worker.engine.tensorrt import Engine, check_available, engine_of, precision_of


def _write(folder: Path, file: Path, *, device: torch.device, precision: Precision) -> None:
    """Minutes for a large model: kernels are tried out."""
    check_available(device)
    of = precision_of(is_graph(read_config(folder)), precision)
    file.write_bytes(engine_of(load_any(folder), of))


def _load(folder: Path, file: Path, setting: Setting) -> Runner:
    """What it computes in was settled when it was written."""
    check_available(setting.device)
    engine = Engine(file.read_bytes())
    config = read_config(folder)
    ready = inputs_of(config, setting.batch_size).cuda()
    logits = engine.prepare(ready)

    def predict(x: Tensor) -> Tensor:
        nonlocal logits
        found = engine(x)
        logits = engine.prepare(ready)  # bound again, for the forward passes to come
        return found

    precision = precision_of(is_graph(config), setting.precision)
    return Runner(engine.run, predict, precision, on_stream=True)


tensorrt: Final = Runtime(_load, _write, "model.engine")
