"""The formats that a model is exported to; a test holds their names to the contract's."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from worker.engine.export.absent import absent
from worker.engine.export.file import Exporter
from worker.engine.export.onnx import to_onnx
from worker.engine.export.openvino import to_openvino
from worker.engine.export.pt2 import to_pt2
from worker.engine.export.weights import to_safetensors

_ABSENT: Final = {"executorch": "ExecuTorch", "tensorrt": "TensorRT"}
EXPORTERS: Final[Mapping[str, Exporter]] = {
    "safetensors": to_safetensors,
    "onnx": to_onnx,
    "pt2": to_pt2,
    "openvino": to_openvino,
    **{name: absent(runtime) for name, runtime in _ABSENT.items()},
}


def available() -> tuple[str, ...]:
    """The formats that this machine can write and check."""
    missing = {*_ABSENT} | (set() if find_spec("openvino") else {"openvino"})
    return tuple(name for name in EXPORTERS if name not in missing)
