"""Weights in fewer bits, arithmetic in float32: a small file that runs anywhere."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from worker.engine.quantize.calibration import Array
from worker.engine.quantize.layers import Layer

_INT8_MAX: Final = 127
Half = Literal["fp16", "bf16"]


def store_int8(model: Any, layers: Sequence[Layer]) -> None:
    """Keep each weight as int8 with one scale for each output: w ≈ q · s, s = max|w| ÷ 127.

    The graph multiplies back when it is loaded: as Cast and Mul, for runtimes fold those into a
    constant, while they leave a DequantizeLinear to every run.
    """
    import onnx  # heavy

    for layer in layers:
        weight = onnx.numpy_helper.to_array(_tensor(model, layer.weight))
        q, scale = per_output_int8(weight, layer.axis)
        names = f"{layer.weight}_int8", f"{layer.weight}_scale"
        wide = f"{layer.weight}_wide"
        nodes = (
            onnx.helper.make_node("Cast", names[:1], [wide], wide, to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [wide, names[1]], [layer.weight], f"{layer.weight}_read"),
        )
        _replace(model, layer.weight, dict(zip(names, (q, scale), strict=True)), *nodes)


def per_output_int8(weight: Array, axis: int) -> tuple[Array, Array]:
    """Integers in [−127, 127], and scales of the outputs along `axis` that broadcast to them."""
    others = tuple(side for side in range(weight.ndim) if side != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / _INT8_MAX, 1).astype(np.float32)
    q = np.clip(np.round(weight / scale), -_INT8_MAX, _INT8_MAX).astype(np.int8)
    return q, scale


def store_half(model: Any, layers: Sequence[Layer], half: Half) -> None:
    """Keep each weight in 16 bits, rounded to nearest.

    Raises ValueError for a weight beyond the range of fp16.
    """
    import onnx

    kind = onnx.TensorProto.FLOAT16 if half == "fp16" else onnx.TensorProto.BFLOAT16
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    for layer in layers:
        weight = onnx.numpy_helper.to_array(_tensor(model, layer.weight))
        small = weight.astype(dtype)
        if not np.isfinite(small.astype(np.float32)).all():
            raise ValueError(f"a weight of {layer.name} is beyond the range of {half}")
        name = f"{layer.weight}_{half}"
        node = onnx.helper.make_node(
            "Cast", [name], [layer.weight], f"{layer.weight}_read", to=onnx.TensorProto.FLOAT
        )
        _replace(model, layer.weight, {name: small}, node)


def _tensor(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _replace(model: Any, name: str, stored: dict[str, Array], *nodes: Any) -> None:
    """`nodes` make the tensor `name` from `stored`, in place of the initializer."""
    import onnx

    graph = model.graph
    graph.initializer.remove(_tensor(model, name))
    graph.initializer.extend(
        onnx.numpy_helper.from_array(array, key) for key, array in stored.items()
    )
    for node in reversed(nodes):
        graph.node.insert(0, node)
