"""The runtimes that a saved model is run by; a test holds their names to the contract's.

`RUNTIMES[name](folder, batch_size=…, device=…, threads=…)` is all that most callers want. What
times cold starts writes the file first and loads it elsewhere.
"""

from collections.abc import Mapping
from typing import Final

from worker.engine.measure.graph_runtimes import absent, onnxruntime, openvino
from worker.engine.measure.runner import Runner as Runner
from worker.engine.measure.runner import Runtime
from worker.engine.measure.torch_runtimes import aotinductor, eager, torch_compile

RUNTIMES: Final[Mapping[str, Runtime]] = {
    "eager": eager,
    "torch_compile": torch_compile,
    "aotinductor": aotinductor,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "executorch": absent("ExecuTorch"),
    "tensorrt": absent("TensorRT"),
}
