"""Quantisation of a graph by name; a test holds the names to the contract's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from worker.engine.errors import NotQuantizable
from worker.engine.quantize.integer import StaticQuantizer, dynamic_int8
from worker.engine.quantize.layers import Layer, layers_of
from worker.engine.quantize.nncf_integer import NncfQuantizer
from worker.engine.quantize.weights import store_half, store_int8

Quantize = Callable[[bytes, Sequence[Layer]], bytes]
"""The graph with these layers in fewer bits. Raises `NotQuantizable`."""


def _in_place(change: Callable[[Any, Sequence[Layer]], None]) -> Quantize:
    def quantize(content: bytes, layers: Sequence[Layer]) -> bytes:
        import onnx  # heavy

        model = onnx.ModelProto.FromString(content)
        try:
            change(model, layers)
        except ValueError as error:
            raise NotQuantizable(str(error)) from error
        made: bytes = model.SerializeToString(deterministic=True)
        return made

    return quantize


UNCALIBRATED: Final[Mapping[str, Quantize]] = {
    "dynamic_int8": dynamic_int8,
    "weight_only_int8": _in_place(store_int8),
    "fp16": _in_place(lambda model, layers: store_half(model, layers, "fp16")),
    "bf16": _in_place(lambda model, layers: store_half(model, layers, "bf16")),
}
"""Methods that need no data."""
STATIC: Final[Mapping[str, type[StaticQuantizer]]] = {
    "onnxruntime": StaticQuantizer,
    "nncf": NncfQuantizer,
}
"""Tools that measure ranges for `static_int8` on the graph."""
TOOLS: Final = (*STATIC, "torchao")
"""All of them: torchao's works on the module, see `program`."""
METHODS: Final = ("static_int8", *UNCALIBRATED, "static_fp8")


def graph_layers(content: bytes) -> tuple[Layer, ...]:
    """The layers of a graph. Raises `NotQuantizable` where there is none in float."""
    import onnx

    layers = layers_of(onnx.ModelProto.FromString(content))
    if not layers:
        raise NotQuantizable("the graph has no layer with float weights")
    return layers


def stripped(content: bytes) -> bytes:
    """The same graph without what tools wrote into it for people: notes of nodes, and shapes in
    between, which runtimes infer."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    for entry in (*model.graph.node, *model.graph.initializer):
        entry.ClearField("doc_string")
        entry.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    made: bytes = model.SerializeToString(deterministic=True)
    return made
