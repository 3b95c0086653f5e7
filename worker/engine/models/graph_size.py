"""How large an ONNX graph is, and how much arithmetic one input takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

# Shapes and indices are int64; weights, also quantised ones and their biases, are these.
_WEIGHTS: Final = (
    *("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8", "INT4", "UINT4", "INT32"),
)
_CONVOLUTIONS: Final = {"Conv": 1, "ConvInteger": 1, "FusedConv": 1, "QLinearConv": 3}
_PRODUCTS: Final = {
    **dict.fromkeys(("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "MatMulInteger"), 1),
    **dict.fromkeys(("QLinearMatMul", "QGemm"), 3),
}
"""Operators that multiply, and where in their inputs the second factor stands."""
_UNCOUNTED: Final = frozenset(
    {"Attention", "ConvTranspose", "DeformConv", "Einsum", "MultiHeadAttention", "QAttention"}
)
"""Operators that multiply in ways not counted here: with one of them the sum is unknown."""


@dataclass(frozen=True)
class GraphSize:
    """`macs` is None where shapes are not known; `batch_size` where the graph takes any."""

    elements: int
    nonzero_elements: int
    macs: int | None
    batch_size: int | None


def graph_size(content: bytes) -> GraphSize:
    """Counted on the initializers and by shape inference at batch size 1."""
    import onnx  # heavy

    model = onnx.ModelProto.FromString(content)
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if onnx.TensorProto.DataType.Name(tensor.data_type) in _WEIGHTS
    ]
    (batch,) = (entry.type.tensor_type.shape.dim[0] for entry in _inputs(model))
    fixed = batch.dim_value if batch.HasField("dim_value") else None
    return GraphSize(
        elements=sum(array.size for array in weights),
        nonzero_elements=sum(int(np.count_nonzero(array)) for array in weights),
        macs=_macs(model, fixed),
        batch_size=fixed,
    )


def _inputs(model: Any) -> list[Any]:
    stored = {tensor.name for tensor in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in stored]


def _macs(model: Any, fixed: int | None) -> int | None:
    import onnx

    if fixed is None:
        _inputs(model)[0].type.tensor_type.shape.dim[0].dim_value = 1
        # What the file says of shapes inside would contradict it.
        del model.graph.value_info[:]
        model.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return None
    shapes = _shapes(inferred)
    counts = [_of_node(node, shapes) for node in inferred.graph.node]
    if any(count is None for count in counts):
        return None
    return sum(count for count in counts if count is not None) // (fixed or 1)


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    found = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for entry in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        dims = entry.type.tensor_type.shape.dim
        if entry.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            found.setdefault(entry.name, tuple(d.dim_value for d in dims))
    return found


def _of_node(node: Any, shapes: Mapping[str, Sequence[int]]) -> int | None:
    """Multiply–accumulates of one node; None where they cannot be told."""
    if node.op_type in _UNCOUNTED:
        return None
    convolution, product = _CONVOLUTIONS.get(node.op_type), _PRODUCTS.get(node.op_type)
    if convolution is None and product is None:
        return 0
    out = shapes.get(node.output[0])
    factor = shapes.get(node.input[convolution or product or 1])
    first = shapes.get(node.input[0])
    if out is None or factor is None or first is None:
        return None
    if convolution is not None:
        return prod(out) * prod(factor[1:])  # [out, in ÷ groups, height, width]
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return prod(out) * (first[0] if transposed else first[-1])
