"""The formats that a model is exported to; a test holds their names to the contract's."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from worker.engine import executorch, tensorrt
from worker.engine.export.executorch import to_executorch
from worker.engine.export.file import Exporter
from worker.engine.export.onnx import to_onnx
from worker.engine.export.openvino import to_openvino
from worker.engine.export.pt2 import to_pt2
from worker.engine.export.tensorrt import to_tensorrt
from worker.engine.export.weights import to_safetensors

EXPORTERS: Final[Mapping[str, Exporter]] = {
    "safetensors": to_safetensors,
    "onnx": to_onnx,
    "pt2": to_pt2,
    "openvino": to_openvino,
    "executorch": to_executorch,
    "tensorrt": to_tensorrt,
}


def available() -> tuple[str, ...]:
    """The formats that this machine can write and check."""
    missing = {
        "openvino": find_spec("openvino") is None,
        "executorch": not executorch.is_installed(),
        "tensorrt": tensorrt.missing() is not None,
    }
    return tuple(name for name in EXPORTERS if not missing.get(name))
