"""int8 by torchao: what is rounded to what, and that ONNX Runtime has integers to run."""

import math

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from worker.engine.errors import NotQuantizable
from worker.engine.export.onnx import export_onnx
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build
from worker.engine.models.graph import Graph
from worker.engine.quantize.program import TorchaoQuantizer
from worker.engine.quantize.sensitivity import sensitivities
from worker.engine.quantize.torchao import torchao_tool


def inputs(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def quantizer_of(module: nn.Module, batch: torch.Tensor) -> TorchaoQuantizer:
    classes = int(module(batch).shape[1])
    shape = tuple(batch.shape[1:])
    config = ModelConfig("net", classes, shape, (0.5,) * shape[0], (0.2,) * shape[0])
    return torchao_tool(module, export_onnx(LoadedModel(module, config)), [batch.numpy()])


def relative_error(made: bytes, module: nn.Module, batch: torch.Tensor) -> float:
    with torch.no_grad():
        reference = module(batch)
    return math.sqrt((Graph(made)(batch) - reference).pow(2).mean() / reference.pow(2).mean())


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    config = ModelConfig("cifar_resnet8", 3, (3, 8, 8), (0.5,) * 3, (0.2,) * 3)
    module = build(config).eval()
    with torch.no_grad():  # statistics that are not those of a fresh norm
        for norm in (one for one in module.modules() if isinstance(one, nn.BatchNorm2d)):
            for statistic, low, high in (
                (norm.running_mean, -0.2, 0.2),
                (norm.running_var, 0.5, 2),
            ):
                assert statistic is not None
                statistic.uniform_(low, high)
    return module


@pytest.fixture(scope="module")
def conv(resnet: nn.Module) -> TorchaoQuantizer:
    return quantizer_of(resnet, inputs(32))


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.ModelProto.FromString(content).graph.node]


def test_a_linear_layer_has_the_integers_that_come_by_hand() -> None:
    linear = nn.Linear(4, 4)
    module = nn.Sequential(nn.Flatten(), linear).eval()
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[:2] = torch.tensor([[1.27, -0.5, 0.0, 0.01], [-25.4, 2.0, 0.2, 12.7]])
        linear.weight[2:, 0] = 0.127
        linear.bias.copy_(torch.tensor([0.1, -1.0, 0.0, 0.0]))
    # From 0 to 2.55 in 255 steps of 0.01.
    batch = torch.tensor([[0.0, 2.55, 1.0, 0.5], [0.3, 0.2, 0.1, 0.0]]).reshape(2, 1, 2, 2)
    made = onnx.ModelProto.FromString(quantizer_of(module, batch).all_but(()))
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in made.graph.initializer}
    (gemm,) = (node for node in made.graph.node if node.op_type == "Gemm")
    readers = {node.output[0]: node for node in made.graph.node}
    _, weight, bias = (readers[name].input for name in gemm.input)
    assert stored[weight[0]][:2].tolist() == [[127, -50, 0, 1], [-127, 10, 1, 64]]
    assert stored[weight[1]].tolist() == pytest.approx([0.01, 0.2, 0.001, 0.001])
    # The bias in steps of 0.01 · 0.01 and of 0.01 · 0.2.
    assert stored[bias[0]].tolist() == [1000, -500, 0, 0]
    assert stored[bias[0]].dtype == np.int32


def test_a_network_of_convolutions_runs_in_integers(
    conv: TorchaoQuantizer, resnet: nn.Module
) -> None:
    made = conv.all_but(())
    assert 0 < relative_error(made, resnet, inputs(32)) < 0.1
    graph = onnx.ModelProto.FromString(made).graph
    readers = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert [readers[name].op_type for name in node.input] == ["DequantizeLinear"] * 3
    stored = {one.name: one.data_type for one in graph.initializer}
    assert sum(kind == onnx.TensorProto.INT8 for kind in stored.values()) >= 8
    assert "BatchNormalization" not in operators(made)


def test_layers_have_the_names_of_the_model_and_stay_float_where_they_are_kept(
    conv: TorchaoQuantizer,
) -> None:
    names = [layer.name for layer in conv.layers]
    assert (names[0], names[-1], len(names)) == ("conv1", "linear", 8)
    first = conv.all_but(conv.layers[1:])
    floats = {one.name for one in onnx.ModelProto.FromString(first).graph.initializer}
    assert "linear.weight" in floats
    assert "conv1.weight" not in floats


def test_each_layer_alone_is_judged_in_int8(conv: TorchaoQuantizer, resnet: nn.Module) -> None:
    with torch.no_grad():
        reference = resnet(inputs(16))
        errors = sensitivities(
            conv, conv.layers, lambda module: module(inputs(16)).detach(), reference
        )
    assert len(errors) == 8
    assert all(0 < one.error < 0.05 for one in errors)


def test_a_graph_has_no_module_for_torchao(conv: TorchaoQuantizer) -> None:
    content = conv.all_but(())
    with pytest.raises(NotQuantizable, match="not on a graph"):
        torchao_tool(Graph(content), content, [inputs(2).numpy()])


def test_products_whose_weights_the_export_turned_are_known_and_can_be_kept() -> None:
    torch.manual_seed(0)

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.head = nn.Linear(8, 24), nn.Linear(24, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.mix(x.flatten(1, 2)).relu().mean(1))
            return out

    quantizer = quantizer_of(Tokens().eval(), inputs(8))
    assert [layer.operator for layer in quantizer.layers] == ["MatMul", "Gemm"]
    whole, half = quantizer.all_but(()), quantizer.all_but(quantizer.layers[:1])
    assert "Transpose" not in operators(whole)
    weights = [
        [one.name for one in graph.initializer if one.data_type == 3 and len(one.dims) == 2]
        for graph in (onnx.ModelProto.FromString(made).graph for made in (whole, half))
    ]
    assert (len(weights[0]), len(weights[1])) == (2, 1)
