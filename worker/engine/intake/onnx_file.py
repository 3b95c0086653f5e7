"""ONNX classifiers in one file: looked through, put in order, and written anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from worker.engine.errors import InvalidModel
from worker.engine.intake.onnx_operators import OPERATORS
from worker.engine.shown import shown

_MAX_BYTES: Final = (2 << 30) - 1  # of a protocol buffer
_MAX_NODES: Final = 10_000  # the deepest classifiers, quantised, have half of that
_MAX_ELEMENTS: Final = 1 << 34  # of any shape that the file spells out
_ADVICE: Final = "Export it again with torch.onnx.export(…, external_data=False)."


@dataclass(frozen=True)
class GraphUpload:
    """A graph that may run. `input_size` has None for sides that the file leaves open."""

    content: bytes
    input_size: tuple[int | None, ...]
    classes: int | None
    notes: tuple[str, ...]


def read_onnx(path: Path) -> GraphUpload:
    """Parsed from bytes; a file that it names outside itself is never opened.

    Raises `InvalidModel` for what is not one input of images and one output of classes, or uses
    an operator that is not on the list.
    """
    import onnx  # heavy

    if path.stat().st_size > _MAX_BYTES:
        raise InvalidModel("an ONNX file may have 2 GiB")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, which has moved between versions
        raise InvalidModel("it is not an ONNX file, or not a whole one") from error
    _check_parts(model)
    notes = _put_in_order(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise InvalidModel(f"the ONNX checker says: {reason}") from error
    size = _input_size(model)
    classes = _classes(model)
    return GraphUpload(_serialised(model), size, classes, notes)


def with_batch(content: bytes, size: int) -> bytes:
    """The graph, saying that it takes batches of `size` only."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    _input(model).type.tensor_type.shape.dim[0].dim_value = size
    return _serialised(model)


def with_input_size(content: bytes, input_size: tuple[int, ...]) -> bytes:
    """The graph, its open sides set."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    for dim, side in zip(_input(model).type.tensor_type.shape.dim[1:], input_size, strict=True):
        dim.dim_value = side
    return _serialised(model)


def _serialised(model: Any) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _check_parts(model: Any) -> None:
    if model.functions:
        raise InvalidModel("the graph defines functions of its own", _ADVICE)
    graph = model.graph
    if not 0 < len(graph.node) <= _MAX_NODES:
        raise InvalidModel(f"the graph has {len(graph.node)} nodes")
    if graph.sparse_initializer:
        raise InvalidModel("the graph has sparse initializers", _ADVICE)
    foreign = sorted({_full_name(n) for n in graph.node if not _is_known(n)})
    if foreign:
        raise InvalidModel(f"the graph uses operators that are not taken: {shown(foreign)}")
    for tensor in _tensors(graph):
        _check_tensor(tensor)


def _is_known(node: Any) -> bool:
    inner = any(a.HasField("g") or a.graphs for a in node.attribute)
    return node.op_type in OPERATORS.get(node.domain, ()) and not inner


def _full_name(node: Any) -> str:
    return f"{node.domain or 'ai.onnx'}.{node.op_type}"[:120]


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise InvalidModel("the graph has sparse tensors", _ADVICE)


def _check_tensor(tensor: Any) -> None:
    import onnx

    name = tensor.name[:120]
    if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise InvalidModel("its weights are in another file", _ADVICE)
    if any(side < 0 for side in tensor.dims) or prod(tensor.dims) > _MAX_ELEMENTS:
        raise InvalidModel(f"tensor {name!r} has an absurd shape")
    try:
        values = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # lengths that contradict shapes, types that do not exist
        raise InvalidModel(f"tensor {name!r} is broken") from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InvalidModel(f"tensor {name!r} holds values that are not finite")


def _put_in_order(model: Any) -> tuple[str, ...]:
    """Constants become initializers, which are counted; texts that nobody needs go; a softmax at
    the end goes too, since losses, distillation among them, are computed on logits."""
    graph = model.graph
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        # Other than one attribute and one output are for the checker to complain of.
        is_tensor = [a.name for a in node.attribute] == ["value"] and len(node.output) == 1
        if is_tensor:
            graph.initializer.add().CopyFrom(node.attribute[0].t)
            graph.initializer[-1].name = node.output[0]
            graph.node.remove(node)
    del model.metadata_props[:]
    del model.training_info[:]  # graphs of its own, whose tensors nobody has looked at
    model.doc_string = graph.doc_string = ""
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return _without_softmax(graph)


def _without_softmax(graph: Any) -> tuple[str, ...]:
    last = [n for n in graph.node if graph.output and graph.output[0].name in n.output]
    if len(last) != 1 or last[0].op_type != "Softmax" or last[0].domain not in ("", "ai.onnx"):
        return ()
    (softmax,) = last
    if len(softmax.input) != 1 or not _is_over_classes(softmax, graph.output[0]):
        return ()
    made = [n for n in graph.node if softmax.input[0] in n.output]
    used = sum(softmax.output[0] in n.input for n in graph.node)
    if not made or used:
        return ()
    graph.output[0].name = softmax.input[0]
    graph.node.remove(softmax)
    return ("the softmax at the end was taken off: models answer with logits here",)


def _is_over_classes(softmax: Any, output: Any) -> bool:
    """Over the last axis: −1 (the default since opset 13), or 1 (the default before) of two."""
    axis = next((a.i for a in softmax.attribute if a.name == "axis"), -1)
    return axis == -1 or (axis == 1 and len(output.type.tensor_type.shape.dim) == 2)


def _input(model: Any) -> Any:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in stored]
    if len(inputs) != 1:
        raise InvalidModel(f"the graph has {len(inputs)} inputs; a classifier has one")
    return inputs[0]


def _input_size(model: Any) -> tuple[int | None, ...]:
    import onnx

    entry = _input(model).type.tensor_type
    if entry.elem_type != onnx.TensorProto.FLOAT:
        raise InvalidModel("the graph's input must be float32, normalised")
    dims = list(entry.shape.dim)
    if len(dims) != 4:
        raise InvalidModel(f"the graph's input has {len(dims)} sides; N, C, H, W are wanted")
    sides = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
    if any(side is not None and not 1 <= side <= 8192 for side in sides):
        raise InvalidModel(f"the graph's input is {list(sides)}")
    return sides[1:]


def _classes(model: Any) -> int | None:
    import onnx

    outputs = model.graph.output
    if len(outputs) != 1:
        raise InvalidModel(f"the graph has {len(outputs)} outputs; a classifier has one")
    entry = outputs[0].type.tensor_type
    if entry.elem_type != onnx.TensorProto.FLOAT:
        raise InvalidModel("the graph's output must be float32")
    dims = list(entry.shape.dim)
    if entry.HasField("shape") and len(dims) != 2:
        raise InvalidModel(f"the graph's output has {len(dims)} sides; N, K are wanted")
    return dims[1].dim_value or None if dims else None
