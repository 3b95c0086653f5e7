"""ExecuTorch on processors: the same kernels as on a phone, measured here."""

from pathlib import Path
from typing import Final

import torch

from worker.engine.device import Precision
from worker.engine.errors import NotExportable, UnsupportedDevice
from worker.engine.executorch import Program, check_installed, lowered
from worker.engine.measure.runner import Runner, Runtime, Setting, inputs_of
from worker.engine.models.folder import is_graph, load_folder, read_config


def _write(folder: Path, file: Path, *, device: torch.device, precision: Precision) -> None:
    check_installed()
    if device.type != "cpu":
        raise UnsupportedDevice("ExecuTorch is measured on CPUs only")
    if is_graph(read_config(folder)):
        raise NotExportable("a runtime graph is no PyTorch program")
    file.write_bytes(lowered(load_folder(folder), {}))


def _load(folder: Path, file: Path, setting: Setting) -> Runner:
    """Float32, whatever was asked for; a batch above 64 is run in steps of that size."""
    program = Program(file.read_bytes(), setting.threads)
    ready = inputs_of(read_config(folder), setting.batch_size)
    return Runner(lambda: program(ready), program, "fp32")


executorch: Final = Runtime(_load, _write, "model.pte")
