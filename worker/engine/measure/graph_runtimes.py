"""What runs a graph of its own: ONNX Runtime and OpenVINO, both from one ONNX file."""

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from worker.engine.device import Precision
from worker.engine.errors import NotExportable, UnsupportedDevice
from worker.engine.export.onnx import export_onnx
from worker.engine.measure.runner import Runner, Runtime, Setting, Write, inputs_of
from worker.engine.models.folder import is_graph, load_folder, read_config
from worker.engine.models.graph import GRAPH, Graph, available_providers
from worker.engine.openvino import HINT_OF, library, reason

_PRECISION_OF: Final = {
    "float": "fp32",
    "float32": "fp32",
    "f32": "fp32",
    "bfloat16": "bf16",
    "bf16": "bf16",
    "float16": "fp16",
    "f16": "fp16",
}


def _write_onnx(folder: Path, file: Path, *, device: torch.device, precision: Precision) -> None:
    if is_graph(read_config(folder)):
        file.write_bytes((folder / GRAPH).read_bytes())
    else:
        file.write_bytes(export_onnx(load_folder(folder)))


def _load_onnxruntime(folder: Path, file: Path, setting: Setting) -> Runner:
    """Inputs and arithmetic in float32, or as the graph itself has it."""
    provider = "CUDAExecutionProvider" if setting.device.type == "cuda" else "CPUExecutionProvider"
    if provider not in available_providers():
        raise UnsupportedDevice(f"this onnxruntime has no {provider}")
    graph = Graph(file.read_bytes(), threads=setting.threads, provider=provider)
    ready = inputs_of(read_config(folder), setting.batch_size).numpy()
    return Runner(lambda: graph.run(ready), graph, "fp32")


def _load_openvino(folder: Path, file: Path, setting: Setting) -> Runner:
    if setting.device.type != "cpu":
        raise UnsupportedDevice("OpenVINO is measured on CPUs only")
    ov = library()
    options = {
        "INFERENCE_PRECISION_HINT": HINT_OF[setting.precision],
        "INFERENCE_NUM_THREADS": setting.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    try:
        core = ov.Core()
        compiled: Any = core.compile_model(core.read_model(file.read_bytes()), "CPU", options)
    except RuntimeError as error:
        raise NotExportable(f"OpenVINO cannot run the graph: {reason(error)}") from error
    ran = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    request = compiled.create_infer_request()
    ready = inputs_of(read_config(folder), setting.batch_size).numpy()

    def predict(x: Tensor) -> Tensor:
        return torch.from_numpy(request.infer(x.float().contiguous().numpy())[0].copy())

    # The input lies still while it runs, as it does for the other runtimes.
    return Runner(
        lambda: request.infer(ready, share_inputs=True), predict, _PRECISION_OF.get(ran, ran)
    )


_onnx: Final[Write] = _write_onnx
onnxruntime: Final = Runtime(_load_onnxruntime, _onnx)
openvino: Final = Runtime(_load_openvino, _onnx)
