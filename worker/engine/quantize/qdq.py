"""What ONNX Runtime wants of a graph with QuantizeLinear and DequantizeLinear, to run integers."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from worker.engine.quantize.calibration import Array

_PRODUCTS: Final = ("Conv", "Gemm", "MatMul")
_INT32_MAX: Final = 2**31 - 1


def in_integers(content: bytes) -> bytes:
    """The same graph with what its kernels ask for: biases in int32 at the product of the scales,
    and weights stored as they are multiplied, not turned at each run."""
    import onnx  # heavy

    model = onnx.ModelProto.FromString(content)
    graph = _Graph(model.graph)
    for node in list(model.graph.node):
        if node.op_type in _PRODUCTS:
            _turn_weight(graph, node)
            _round_bias(graph, node)
    graph.drop_unread()
    made: bytes = model.SerializeToString(deterministic=True)
    return made


class _Graph:
    """A graph with its tensors by name."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}

    def array(self, name: str) -> Array:
        import onnx

        values: Array = onnx.numpy_helper.to_array(self.stored[name])
        return values

    def store(self, name: str, values: Array) -> None:
        import onnx

        self.stored[name] = onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        self.graph.initializer.append(self.stored[name])

    def dequantized(self, name: str) -> Any | None:
        """The DequantizeLinear that makes a tensor, or None."""
        maker = self.makers.get(name)
        return maker if maker is not None and maker.op_type == "DequantizeLinear" else None

    def insert(self, before: Any, node: Any) -> None:
        self.graph.node.insert(list(self.graph.node).index(before), node)

    def drop_unread(self) -> None:
        """Take out what nothing reads any more."""
        while True:
            read = {name for node in self.graph.node for name in node.input}
            read |= {one.name for one in self.graph.output}
            unread = [node for node in self.graph.node if not read.intersection(node.output)]
            for node in unread:
                self.graph.node.remove(node)
            if not unread:
                break
        for tensor in [one for one in self.graph.initializer if one.name not in read]:
            self.graph.initializer.remove(tensor)


def _turn_weight(graph: _Graph, node: Any) -> None:
    """DequantizeLinear and Transpose before a product: the integers are turned once, here."""
    import onnx

    turn = graph.makers.get(node.input[1])
    if turn is None or turn.op_type != "Transpose":
        return
    reader = graph.dequantized(turn.input[0])
    if reader is None or reader.input[0] not in graph.stored:
        return
    order = next((list(one.ints) for one in turn.attribute if one.name == "perm"), [1, 0])
    axis = next((one.i for one in reader.attribute if one.name == "axis"), 1)
    name = f"{reader.input[0]}_turned"
    if name not in graph.stored:
        graph.store(name, graph.array(reader.input[0]).transpose(order))
    made = f"{node.input[1]}_read"
    inputs = [name, *reader.input[1:]]
    turned = onnx.helper.make_node(
        "DequantizeLinear", inputs, [made], f"{made}_node", axis=order.index(axis)
    )
    graph.insert(node, turned)
    graph.makers[made] = turned
    node.input[1] = made


def _round_bias(graph: _Graph, node: Any) -> None:
    """b ≈ q · s with s = the input's scale · the weight's, as the sums of products have it."""
    import onnx

    if len(node.input) < 3 or node.input[2] not in graph.stored:
        return
    readers = [graph.dequantized(name) for name in node.input[:2]]
    scales = list(_scales(graph, readers))
    if len(scales) < 2:
        return
    bias = graph.array(node.input[2])
    scale = np.broadcast_to(scales[0] * scales[1], bias.shape).astype(np.float32)
    q = np.round(bias.astype(np.float64) / scale)
    if np.abs(q).max(initial=0) > _INT32_MAX:
        return
    names = [f"{node.input[2]}_{part}" for part in (f"{node.name}_int32", f"{node.name}_scale")]
    graph.store(names[0], q.astype(np.int32))
    graph.store(names[1], scale)
    made = f"{names[0]}_read"
    graph.insert(
        node, onnx.helper.make_node("DequantizeLinear", names, [made], f"{made}_node", axis=0)
    )
    node.input[2] = made


def _scales(graph: _Graph, readers: list[Any | None]) -> Iterator[Array]:
    for reader in readers:
        if reader is not None and reader.input[1] in graph.stored:
            yield graph.array(reader.input[1])
