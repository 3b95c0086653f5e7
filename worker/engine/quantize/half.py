"""A whole graph in 16-bit floats, between inputs and outputs that stay float32."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from worker.engine.errors import NotQuantizable
from worker.engine.models.graph import optimised
from worker.engine.quantize.integer import quiet
from worker.engine.quantize.layers import Layer, layers_of

_FP16_MAX: Final = 65504.0
_FP16_LEAST: Final = 6e-8  # what is not 0 stays above 0


def half_arithmetic(content: bytes, layers: Sequence[Layer]) -> bytes:
    """The graph in fp16 but for layers that are not among `layers`. Raises `NotQuantizable`,
    also for a weight beyond the range."""
    import onnx  # heavy
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.ModelProto.FromString(content)
    _check_range(model)
    chosen = {layer.node for layer in layers}
    kept = [layer.node for layer in layers_of(model) if layer.node not in chosen]
    with quiet("turned to fp16"):
        made = convert_float_to_float16(
            model,
            min_positive_val=_FP16_LEAST,
            max_finite_val=_FP16_MAX,
            keep_io_types=True,
            op_block_list=DEFAULT_OP_BLOCK_LIST,
            node_block_list=kept,
        )
    half: bytes = made.SerializeToString(deterministic=True)
    return half


def widened_operators(content: bytes) -> tuple[str, ...]:
    """What this ONNX Runtime computes in float32 all the same, by name: operators that read a
    float32 weight, or what a Cast to float32 made."""
    import onnx

    graph = onnx.ModelProto.FromString(optimised(content)).graph
    wide = {node.output[0] for node in graph.node if _widens(node)}
    wide |= {one.name for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT}
    readers = (node for node in graph.node if node.op_type not in ("Cast", "ReorderOutput"))
    return tuple(sorted({one.op_type for one in readers if wide.intersection(one.input)}))


def _widens(node: Any) -> bool:
    return node.op_type == "Cast" and any(
        one.name == "to" and one.i == 1
        for one in node.attribute  # 1: float32
    )


def _check_range(model: Any) -> None:
    import onnx

    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        largest = np.abs(onnx.numpy_helper.to_array(tensor)).max(initial=0)
        if not largest <= _FP16_MAX:
            raise NotQuantizable(f"{tensor.name} is beyond the range of fp16: {largest:.3g}")
