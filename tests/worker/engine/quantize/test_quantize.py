"""Graphs in fewer bits: what is rounded how, what stays, and what that does to answers."""

import math
from typing import get_args

import numpy as np
import onnx
import pytest
import torch

from service.contract.quantize import QuantizeMethod, StaticInt8Method
from worker.engine.errors import NotQuantizable
from worker.engine.export.onnx import export_onnx
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build
from worker.engine.models.graph import Graph
from worker.engine.quantize.fp8 import static_fp8
from worker.engine.quantize.half import half_arithmetic, widened_operators
from worker.engine.quantize.integer import StaticQuantizer, dynamic_int8
from worker.engine.quantize.layers import chosen
from worker.engine.quantize.methods import (
    METHODS,
    STATIC,
    TOOLS,
    UNCALIBRATED,
    graph_layers,
    stripped,
)
from worker.engine.quantize.sensitivity import least_kept, sensitivities
from worker.engine.quantize.weights import per_output_int8


def exported(architecture: str, **options: object) -> bytes:
    torch.manual_seed(0)
    config = ModelConfig(architecture, 3, (3, 8, 8), (0.5,) * 3, (0.2,) * 3, options=options)
    return export_onnx(LoadedModel(build(config).eval(), config))


@pytest.fixture(scope="module")
def conv() -> bytes:
    return exported("cifar_resnet8")


@pytest.fixture(scope="module")
def dense() -> bytes:
    return exported("mlp", hidden=[32])


def inputs(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def relative_error(made: bytes, source: bytes) -> float:
    reference, logits = Graph(source)(inputs(32)), Graph(made)(inputs(32))
    return math.sqrt((logits - reference).pow(2).mean() / reference.pow(2).mean())


def stored_types(content: bytes) -> set[str]:
    model = onnx.ModelProto.FromString(content)
    return {onnx.TensorProto.DataType.Name(t.data_type) for t in model.graph.initializer}


def test_int8_has_one_scale_for_each_output_and_is_exact_at_its_largest() -> None:
    weight = np.array([[1.27, -0.5], [0.0, 0.0], [-254.0, 2.0]], dtype=np.float32)
    q, scale = per_output_int8(weight, axis=0)
    assert q.tolist() == [[127, -50], [0, 0], [-127, 1]]
    assert scale.ravel().tolist() == pytest.approx([0.01, 1, 2])


def test_layers_have_the_names_of_the_model(conv: bytes, dense: bytes) -> None:
    names = [layer.name for layer in graph_layers(conv)]
    assert names[0] == "conv1"
    assert "layer1.0.conv1" in names
    assert names[-1] == "linear"
    (first, last) = graph_layers(dense)
    assert (first.weights, last.weights) == (192 * 32, 32 * 3)


def test_layers_are_left_out_by_name_glob_or_container(conv: bytes) -> None:
    layers = graph_layers(conv)
    left = {layer.name for layer in chosen(layers, ("layer1", "*.conv2", "linear"))}
    assert left == {"conv1", "layer2.0.conv1", "layer3.0.conv1"}
    with pytest.raises(ValueError, match="no layer is named 'missing'"):
        chosen(layers, ("missing",))


@pytest.mark.parametrize(
    ("name", "kind", "share", "error"),
    [
        ("weight_only_int8", "INT8", 0.5, 0.02),
        ("fp16", "FLOAT16", 0.65, 0.001),
        ("bf16", "BFLOAT16", 0.65, 0.01),
    ],
)
def test_weights_in_fewer_bits_are_smaller_and_answer_nearly_alike(
    name: str, kind: str, share: float, error: float, conv: bytes
) -> None:
    source = stripped(conv)
    made = stripped(UNCALIBRATED[name](source, graph_layers(source)))
    assert kind in stored_types(made)
    assert len(made) < share * len(source)
    assert 0 < relative_error(made, source) < error


def test_fp16_refuses_a_weight_beyond_its_range(dense: bytes) -> None:
    model = onnx.ModelProto.FromString(dense)
    layer = graph_layers(dense)[0]
    (tensor,) = (t for t in model.graph.initializer if t.name == layer.weight)
    weight = onnx.numpy_helper.to_array(tensor).copy()
    weight[0, 0] = 1e5
    tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
    with np.errstate(over="ignore"), pytest.raises(NotQuantizable, match="range of fp16"):
        UNCALIBRATED["fp16"](model.SerializeToString(), [layer])


def test_half_arithmetic_turns_the_whole_graph_and_tells_what_runs_in_float32(conv: bytes) -> None:
    source = stripped(conv)
    layers = graph_layers(source)
    made = half_arithmetic(source, layers)
    assert "FLOAT16" in stored_types(made)
    assert 0 < relative_error(made, source) < 0.005
    assert set(widened_operators(made)) >= {"Conv", "Gemm"}  # as ONNX Runtime does on processors
    rest = half_arithmetic(source, layers[1:])
    kept = {t.name: t.data_type for t in onnx.ModelProto.FromString(rest).graph.initializer}
    assert kept["conv1.weight"] == onnx.TensorProto.FLOAT


def test_fp8_takes_the_largest_value_to_the_largest_float(conv: bytes) -> None:
    layers = graph_layers(conv)
    made = static_fp8(conv, [inputs(32).numpy()], layers)
    assert 0 < relative_error(made, conv) < 0.15
    stored = {t.name: t for t in onnx.ModelProto.FromString(made).graph.initializer}
    weight = onnx.numpy_helper.to_array(stored["conv1.weight_quantized"]).astype(np.float32)
    assert np.abs(weight).max() == 448
    (scale,) = (s for n, s in stored.items() if n == "input_scale")
    largest = float(inputs(32).abs().max())
    assert float(onnx.numpy_helper.to_array(scale)) == pytest.approx(largest / 448)


def test_dynamic_int8_is_for_products_and_says_so(conv: bytes, dense: bytes) -> None:
    made = dynamic_int8(dense, graph_layers(dense))
    assert "INT8" in stored_types(made)
    assert relative_error(made, dense) < 0.05
    last = graph_layers(dense)[1]
    half = dynamic_int8(dense, [last])
    operators = [node.op_type for node in onnx.ModelProto.FromString(half).graph.node]
    assert operators.count("MatMulInteger") == 1
    with pytest.raises(NotQuantizable, match="static_int8"):
        dynamic_int8(conv, [layer for layer in graph_layers(conv) if layer.operator == "Conv"])


def test_static_int8_runs_in_integers_and_keeps_what_it_is_told_to(conv: bytes) -> None:
    batches = [inputs(32).numpy()]
    with StaticQuantizer(conv, batches, "minmax") as quantizer:
        whole, without = quantizer.all_but(()), quantizer.all_but(quantizer.layers)
        errors = sensitivities(
            quantizer, quantizer.layers, lambda made: made(inputs(16)),
            Graph(conv)(inputs(16)),
        )  # fmt: skip
    assert "INT8" in stored_types(whole)
    assert "INT8" not in stored_types(without)
    assert 0 < relative_error(whole, conv) < 0.1
    assert [one.error for one in errors] == sorted((one.error for one in errors), reverse=True)
    assert {one.layer.name for one in errors} == {layer.name for layer in graph_layers(conv)}


def test_the_tool_of_openvino_makes_a_graph_for_the_same_runtime(dense: bytes) -> None:
    with STATIC["nncf"](dense, [inputs(32).numpy()], "minmax") as quantizer:
        whole = quantizer.all_but(())
        half = quantizer.all_but(quantizer.layers[:1])
    assert stored_types(whole) >= {"INT8"}
    assert 0 < relative_error(whole, dense) < 0.1
    assert len(half) > len(whole)


@pytest.mark.parametrize("enough", range(1, 12))
def test_the_least_number_of_float_layers_is_found(enough: int) -> None:
    assert least_kept(lambda count: count >= enough, 11) == enough


def test_the_contract_names_the_methods_and_tools_of_the_engine() -> None:
    union = get_args(get_args(QuantizeMethod)[0])
    assert tuple(kind().name for kind in union) == METHODS
    assert set(get_args(StaticInt8Method.model_fields["tool"].annotation)) == set(TOOLS)


def test_no_number_of_float_layers_may_be_enough() -> None:
    assert least_kept(lambda count: False, 11) is None
