"""The runtimes that a saved model is run by; a test holds their names to the contract's.

`RUNTIMES[name](folder, batch_size=…, device=…, threads=…)` is all that most callers want. What
times cold starts writes the file first and loads it elsewhere.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from worker.engine.executorch import is_installed as executorch_is_installed
from worker.engine.measure.executorch_runtime import executorch
from worker.engine.measure.graph_runtimes import onnxruntime, openvino
from worker.engine.measure.runner import Runner as Runner
from worker.engine.measure.runner import Runtime
from worker.engine.measure.tensorrt_runtime import tensorrt
from worker.engine.measure.torch_runtimes import aotinductor, eager, torch_compile
from worker.engine.tensorrt import missing as missing_tensorrt

RUNTIMES: Final[Mapping[str, Runtime]] = {
    "eager": eager,
    "torch_compile": torch_compile,
    "aotinductor": aotinductor,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "executorch": executorch,
    "tensorrt": tensorrt,
}


def available() -> tuple[str, ...]:
    """Those that can run a model on this machine; the others are skipped with a reason."""
    missing = {
        "openvino": find_spec("openvino") is None,
        "executorch": not executorch_is_installed(),
        "tensorrt": missing_tensorrt() is not None,
    }
    return tuple(name for name in RUNTIMES if not missing.get(name))
