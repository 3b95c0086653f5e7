"""8-bit floats (e4m3: Micikevicius et al. 2022, arXiv:2209.05433), scaled by what examples gave."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from worker.engine.errors import UnsupportedDevice
from worker.engine.quantize.calibration import Array
from worker.engine.quantize.integer import quiet, reader
from worker.engine.quantize.layers import LAYER_OPERATORS, Layer

_LARGEST: Final = 448.0  # of e4m3
_CAPABILITY: Final = (8, 9)  # the first with products of 8-bit floats


def check_fp8(device: torch.device) -> None:
    """Raises `UnsupportedDevice` where no unit multiplies 8-bit floats."""
    if device.type != "cuda":
        raise UnsupportedDevice("static_fp8 needs a GPU of compute capability 8.9 or more")
    found = torch.cuda.get_device_capability(device)
    if found < _CAPABILITY:
        raise UnsupportedDevice(
            f"static_fp8 needs compute capability 8.9 or more, the GPU has {found[0]}.{found[1]}"
        )


def static_fp8(content: bytes, batches: Sequence[Array], layers: Sequence[Layer]) -> bytes:
    """Weights and inputs of `layers` in e4m3, each tensor with the scale that takes its largest
    value to the largest float. Raises `NotQuantizable`."""
    import onnx  # heavy
    from onnxruntime import quantization as q

    model = onnx.ModelProto.FromString(content)
    names = {layer.node for layer in layers}
    nodes = [node for node in model.graph.node if node.name in names]
    with tempfile.TemporaryDirectory() as folder, quiet("turned to fp8"):
        source, made = Path(folder) / "source.onnx", Path(folder) / "made.onnx"
        source.write_bytes(content)
        q.quantize_static(
            str(source),
            str(made),
            reader(model.graph.input[0].name, batches),
            quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=list(LAYER_OPERATORS),
            nodes_to_quantize=[node.name for node in nodes],
            per_channel=False,
            activation_type=q.QuantType.QFLOAT8E4M3FN,
            weight_type=q.QuantType.QFLOAT8E4M3FN,
            # The only one that it has for fp8; it cuts off what is far from the mean.
            calibrate_method=q.CalibrationMethod.Distribution,
            extra_options={"TensorQuantOverrides": _scales(model, nodes, batches)},
        )
        return _with_relus_as_max(made.read_bytes())


def _with_relus_as_max(content: bytes) -> bytes:
    """ONNX Runtime 1.32 takes a Relu before a QuantizeLinear with zero point 0 for one that the
    rounding does anyway. Of unsigned integers that holds; floats have negative values."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    least = "fp8_least"
    model.graph.initializer.append(onnx.helper.make_tensor(least, onnx.TensorProto.FLOAT, [], [0]))
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Max"
            node.input.append(least)
    made: bytes = model.SerializeToString()
    return made


def _scales(model: Any, nodes: Sequence[Any], batches: Sequence[Array]) -> dict[str, Any]:
    """By tensor, in the words of ONNX Runtime's tool."""
    import onnx
    from onnxruntime import quantization as q

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    largest = _largest(model, {name for n in nodes for name in (n.input[0], n.output[0])}, batches)
    for name in {node.input[1] for node in nodes}:
        largest[name] = float(np.abs(onnx.numpy_helper.to_array(stored[name])).max())
    kind = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.FLOAT8E4M3FN)
    return {
        name: [
            {
                "quant_type": q.QuantType.QFLOAT8E4M3FN,
                "scale": np.array(value / _LARGEST or 1.0, dtype=np.float32),
                "zero_point": np.array(0, dtype=kind),
            }
        ]
        for name, value in largest.items()
    }


def _largest(model: Any, names: Iterable[str], batches: Sequence[Array]) -> dict[str, float]:
    """The largest magnitude that each tensor has over the batches."""
    import onnx
    import onnxruntime as ort

    told = onnx.ModelProto()
    told.CopyFrom(model)
    given = told.graph.input[0].name
    wanted = sorted(set(names) - {given})
    known = {one.name for one in told.graph.output}
    told.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    session = ort.InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    found = dict.fromkeys([*wanted, given], 0.0)
    for batch in batches:
        values = {
            given: batch,
            **dict(zip(wanted, session.run(wanted, {given: batch}), strict=True)),
        }
        for name, value in values.items():
            found[name] = max(found[name], float(np.abs(value).max()))
    return found
