"""ONNX files that lie, ask for too much, or are not classifiers."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.faults.case import Case, graph
from tests.faults.seeds import onnx_file

_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64
Node = onnx.NodeProto


def value(name: str, shape: Any, kind: int = _FLOAT) -> Any:
    """An input or an output."""
    return helper.make_tensor_value_info(name, kind, shape)


def number(name: str, values: object) -> Any:
    """An int64 tensor."""
    return onnx.numpy_helper.from_array(np.array(values, np.int64), name)


def _tensor(**fields: Any) -> Any:
    made = TensorProto(name="w", data_type=_FLOAT, dims=[3, 16])
    for name, content in fields.items():
        if isinstance(content, list):
            del getattr(made, name)[:]
            getattr(made, name).extend(content)
        else:
            setattr(made, name, content)
    return made


def _huge(*nodes: Node, **numbers: object) -> bytes:
    """The good graph, to whose output something is added that takes terabytes to compute."""
    good = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["z"], transB=1),
        *nodes,
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
        helper.make_node("Add", ["z", "sum"], ["y"]),
    ]
    matrix = onnx.numpy_helper.from_array(np.ones((3, 16), np.float32), "w")
    small = onnx.numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    given = [number(name, values) for name, values in numbers.items()]
    return onnx_file(nodes=good, initializer=[matrix, small, *given])


def hungry() -> Mapping[str, bytes]:
    """Small files that ask for much."""
    big = [10**5, 10**6]
    node = helper.make_node
    return {
        "ConstantOfShape of 400 GB": _huge(node("ConstantOfShape", ["s"], ["huge"]), s=big),
        "ConstantOfShape of 2^62": _huge(node("ConstantOfShape", ["s"], ["huge"]), s=[2**62]),
        "ConstantOfShape of -1": _huge(node("ConstantOfShape", ["s"], ["huge"]), s=[-1]),
        "Expand to 400 GB": _huge(node("Expand", ["one", "s"], ["huge"]), s=big),
        "Tile to 400 GB": _huge(node("Tile", ["one", "s"], ["huge"]), s=big),
        "Pad to 400 GB": _huge(node("Pad", ["one", "s"], ["huge"]), s=[0, 0, *big]),
        "Range to 10^11": _huge(
            node("Range", ["a", "b", "c"], ["r"]), node("Cast", ["r"], ["huge"], to=_FLOAT),
            a=0, b=10**11, c=1,
        ),
        "RandomNormal of 400 GB": _huge(node("RandomNormal", [], ["huge"], shape=big)),
        "Resize by 10^5": _huge(
            node("Resize", ["x", "", "", "s"], ["huge"]), s=[1, 1, 10**6, 10**5]
        ),
        "OneHot of 10^11": _huge(
            node("OneHot", ["i", "d", "v"], ["o"]), node("Cast", ["o"], ["huge"], to=_FLOAT),
            i=[1], d=10**11, v=[0, 1],
        ),
        "EyeLike of a wide one": _huge(
            node("ConstantOfShape", ["s"], ["c"]), node("EyeLike", ["c"], ["huge"]), s=[10**6] * 2
        ),
        "Loop for ever": _huge(
            node("Loop", ["n", "", "one"], ["huge"], body=_empty_body()), n=2**62
        ),
    }  # fmt: skip


def _empty_body() -> Any:
    inputs = [value("i", [], _INT64), value("c", [], TensorProto.BOOL), value("a", None)]
    outputs = [value("c", [], TensorProto.BOOL), value("b", None)]
    nodes = [helper.make_node("Identity", ["a"], ["b"])]
    return helper.make_graph(nodes, "body", inputs, outputs)


def lies_of_graphs() -> Iterator[Case]:
    """Each another lie."""
    node = helper.make_node
    inputs, outputs = [value("x", ["n", 1, 4, 4])], [value("y", ["n", 3])]
    flat, gemm = (
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "w"], ["y"], transB=1),
    )
    raw = bytes(3 * 16 * 4)
    nan = np.full((3, 16), np.nan, np.float32).tobytes()
    chain = [node("Identity", [f"i{i}"], [f"i{i + 1}"]) for i in range(20_000)]
    found: dict[str, dict[str, Any]] = {
        "no nodes": {"nodes": []},
        "no outputs": {"outputs": []},
        "no inputs": {"inputs": []},
        "two inputs": {"inputs": [*inputs, value("z", [1])]},
        "two outputs": {"outputs": [*outputs, value("flat", ["n", 16])]},
        "an output of nobody": {"outputs": [value("q", ["n", 3])]},
        "a node of nobody": {"nodes": [flat, node("NoSuchOperator", ["flat"], ["y"])]},
        "a node out of order": {"nodes": [gemm, flat]},
        "a node in a circle": {"nodes": [node("Add", ["y", "flat"], ["flat"]), gemm]},
        "a node that reads nothing": {"nodes": [flat, node("Gemm", ["nowhere", "w"], ["y"])]},
        "a name made twice": {"nodes": [flat, flat, gemm]},
        "a wrong attribute": {"nodes": [flat, node("Gemm", ["flat", "w"], ["y"], evil=1)]},
        "shapes that do not fit": {"nodes": [flat, node("Gemm", ["flat", "w"], ["y"])]},
        "an input of texts": {"inputs": [value("x", ["n", 1, 4, 4], TensorProto.STRING)]},
        "an input of bytes": {"inputs": [value("x", ["n", 1, 4, 4], TensorProto.UINT8)]},
        "an input of five sides": {"inputs": [value("x", ["n", 1, 1, 4, 4])]},
        "an input of a negative side": {"inputs": [value("x", ["n", 1, -4, 4])]},
        "an input of 10^9": {"inputs": [value("x", ["n", 1, 10**9, 10**9])]},
        "an input without a shape": {"inputs": [value("x", None)]},
        "an input without sizes": {"inputs": [value("x", ["n", "c", "h", "w"])]},
        "an output of whole numbers": {"outputs": [value("y", ["n", 3], _INT64)]},
        "an output of other classes": {"outputs": [value("y", ["n", 4])]},
        "weights too short": {"initializer": [_tensor(raw_data=raw[:-1])]},
        "weights too long": {"initializer": [_tensor(raw_data=raw + b"1234")]},
        "no weights": {"initializer": [_tensor()]},
        "no initializer": {"initializer": []},
        "weights that are NaN": {"initializer": [_tensor(raw_data=nan)]},
        "weights of 10^18 elements": {"initializer": [_tensor(dims=[10**9, 10**9], raw_data=raw)]},
        "weights of a negative side": {"initializer": [_tensor(dims=[-3, 16], raw_data=raw)]},
        "weights that overflow": {"initializer": [_tensor(dims=[2**32, 2**32, 2**32])]},
        "weights of no type": {"initializer": [_tensor(data_type=0, raw_data=raw)]},
        "weights of type 99": {"initializer": [_tensor(data_type=99, raw_data=raw)]},
        "weights of texts": {
            "initializer": [_tensor(data_type=TensorProto.STRING, string_data=[b"a"] * 48)]
        },
        "weights in two places": {"initializer": [_tensor(raw_data=raw, float_data=[1.0] * 48)]},
        "weights twice": {"initializer": [_tensor(raw_data=raw)] * 2},
        "weights of 1,000 sides": {"initializer": [_tensor(dims=[1] * 1000, raw_data=b"1234")]},
        "20,000 nodes in a row": {
            "nodes": [node("Flatten", ["x"], ["i0"]), *chain,
                      node("Gemm", ["i20000", "w"], ["y"], transB=1)]
        },
        "a convolution with pads of 2^31": {
            "nodes": [node("Conv", ["x", "k"], ["c"], pads=[2**31] * 4),
                      node("Flatten", ["c"], ["y"])],
            "initializer": [onnx.numpy_helper.from_array(np.ones((3, 1, 4, 4), np.float32), "k")],
        },
        "a pool of 2^31": {
            "nodes": [node("MaxPool", ["x"], ["c"], kernel_shape=[2**31] * 2),
                      node("Flatten", ["c"], ["y"])]
        },
        "a division by zero": {
            "nodes": [flat, node("Sub", ["flat", "flat"], ["z"]), node("Div", ["flat", "z"], ["q"]),
                      node("Gemm", ["q", "w"], ["y"], transB=1)]
        },
        "groups of zero": {
            "nodes": [node("Conv", ["x", "k"], ["c"], group=0), node("Flatten", ["c"], ["y"])],
            "initializer": [onnx.numpy_helper.from_array(np.ones((3, 1, 4, 4), np.float32), "k")],
        },
        "a Reshape to less": {
            "nodes": [node("Reshape", ["x", "s"], ["y"])], "initializer": [number("s", [3, 7])]
        },
        "a Gather behind the end": {
            "nodes": [flat, node("Gather", ["flat", "s"], ["y"], axis=1)],
            "initializer": [number("s", [10**9, -(10**9), 5])],
        },
    }  # fmt: skip
    for name, changed in found.items():
        yield graph(f"onnx: {name}", onnx_file(**changed), may_pass=name in _HARMLESS)
    for name, data in hungry().items():
        yield graph(f"onnx: {name}", data)
    yield from _versions()


# Odd, and yet a runtime may make sense of them.
_HARMLESS = ("20,000 nodes in a row", "an output of other classes", "weights twice")


def _versions() -> Iterator[Case]:
    for field, numbers in {"ir_version": (0, 99, 2**40), "opset": (0, -1, 99, 2**40)}.items():
        for version in numbers:
            proto = onnx.ModelProto.FromString(onnx_file())
            if field == "opset":
                proto.opset_import[0].version = version
            else:
                proto.ir_version = version
            yield graph(f"onnx: {field} {version}", proto.SerializeToString())
    proto = onnx.ModelProto.FromString(onnx_file())
    del proto.opset_import[:]
    yield graph("onnx: no opset", proto.SerializeToString())
    yield graph("onnx: a graph 10,000 deep", _nested(10_000))


def _nested(depth: int) -> bytes:
    """Fields within fields: node, attribute, graph, node …, each longer than the one within."""
    inner = b""
    for _ in range(depth):
        node = _field(1, _field(5, _field(6, inner)))  # graph.node.attribute.g
        inner = node
    return b"\x08\x08" + _field(7, inner) + _field(8, b"\x0a\x00\x10\x12")


def _field(number_: int, content: bytes) -> bytes:
    length, digits = len(content), bytearray()
    while length >= 0x80:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number_ << 3 | 2, *digits, length]) + content
