"""ONNX classifiers: what is accepted runs as it did, what is not has a reason in words."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from worker.engine.errors import EngineError, InvalidModel
from worker.engine.intake.graph_check import check_graph
from worker.engine.intake.onnx_file import read_onnx
from worker.engine.intake.upload import Described
from worker.engine.models.config import ModelConfig
from worker.engine.models.graph import Graph

NOTHING = Described()


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 5)
    ).eval()


@pytest.fixture(scope="module")
def exported(module: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By torch's exporter, batch size dynamic."""
    return _export(module, tmp_path_factory.mktemp("onnx") / "model.onnx", batch=2)


def _export(module: nn.Module, path: Path, batch: int) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if batch > 1 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        torch.onnx.export(
            module, (torch.zeros(batch, 3, 8, 8),), path,
            dynamic_shapes=shapes, external_data=False, verbose=False,
        )  # fmt: skip
    return path


def _checked(path: Path, asked: Described = NOTHING) -> tuple[Graph, ModelConfig, tuple[str, ...]]:
    content, config, notes = check_graph(read_onnx(path), asked, NOTHING)
    return Graph(content), config, notes


def _graph(
    nodes: list[Any],
    path: Path,
    *initializers: Any,
    inputs: tuple[str | int, ...] = ("n", 3, 4, 4),
    outputs: tuple[str | int, ...] = ("n", 3),
    domains: tuple[str, ...] = (),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, outputs)],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", 13), *(helper.make_opsetid(name, 1) for name in domains)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


def _mean() -> Any:
    return helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0)


def test_an_exported_module_answers_as_the_module_does(module: nn.Module, exported: Path) -> None:
    graph, config, notes = _checked(exported)
    inputs = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(graph(inputs), module(inputs), atol=1e-5)
    assert (config.architecture, config.classes, config.input_size) == ("onnx", 5, (3, 8, 8))
    assert notes == ()


def test_its_size_and_arithmetic_are_those_counted_by_hand(exported: Path) -> None:
    graph, _, _ = _checked(exported)
    assert graph.elements == (3 * 9 * 8 + 8) + (288 * 5 + 5)
    assert graph.macs == 36 * 8 * 27 + 288 * 5


def test_a_graph_for_batches_of_one_takes_others_in_steps(
    module: nn.Module, tmp_path: Path
) -> None:
    graph, _, _ = _checked(_export(module, tmp_path / "model.onnx", batch=1))
    assert graph.batch_size == 1
    inputs = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(graph(inputs), module(inputs), atol=1e-5)


def test_a_graph_that_only_says_it_takes_any_batch_is_fed_one_by_one(tmp_path: Path) -> None:
    # Every batch is reshaped to one row.
    nodes = [_mean(), helper.make_node("Reshape", ["m", "shape"], ["y"])]
    shape = numpy_helper.from_array(np.array([1, 3]), "shape")
    graph, _, notes = _checked(_graph(nodes, tmp_path / "model.onnx", shape))
    assert graph(torch.ones(4, 3, 4, 4)).tolist() == [[1.0, 1.0, 1.0]] * 4
    assert "one input at a time" in notes[0]


def test_a_softmax_at_the_end_is_taken_off(module: nn.Module, tmp_path: Path) -> None:
    with_softmax = nn.Sequential(module, nn.Softmax(1))
    graph, _, notes = _checked(_export(with_softmax, tmp_path / "model.onnx", batch=2))
    inputs = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(graph(inputs), module(inputs), atol=1e-5)
    assert "softmax" in notes[0]


@pytest.mark.parametrize(("axis", "taken_off"), [(-1, True), (1, True), (0, False), (-2, False)])
def test_only_a_softmax_over_the_classes_is_taken_off(
    tmp_path: Path, axis: int, taken_off: bool
) -> None:
    nodes = [_mean(), helper.make_node("Softmax", ["m"], ["y"], axis=axis)]
    upload = read_onnx(_graph(nodes, tmp_path / "model.onnx"))
    graph = onnx.load_model_from_string(upload.content).graph
    assert [node.op_type for node in graph.node] == ["ReduceMean", *["Softmax"] * (not taken_off)]
    assert bool(upload.notes) == taken_off


def test_sides_that_are_open_come_from_the_request(tmp_path: Path) -> None:
    path = _graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
        tmp_path / "model.onnx",
        inputs=("n", 3, "h", "w"),
    )
    with pytest.raises(InvalidModel, match="leaves sides of its input open"):
        _checked(path)
    _, config, _ = _checked(path, Described(input_size=(3, 6, 6)))
    assert config.input_size == (3, 6, 6)
    with pytest.raises(InvalidModel, match="takes inputs of"):
        _checked(path, Described(input_size=(1, 6, 6)))


def test_weights_in_another_file_are_refused_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(np.zeros(9, np.float32).tobytes())
    weight = numpy_helper.from_array(np.zeros((3, 3), np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="secret")
    nodes = [_mean(), helper.make_node("MatMul", ["m", "w"], ["y"])]
    with pytest.raises(InvalidModel, match="its weights are in another file"):
        _checked(_graph(nodes, tmp_path / "model.onnx", weight))


@pytest.mark.parametrize(
    ("operator", "domain"),
    [("Loop", ""), ("RandomNormalLike", ""), ("MatMul", "evil.example"), ("ImageDecoder", "")],
)
def test_other_operators_are_named(tmp_path: Path, operator: str, domain: str) -> None:
    nodes = [_mean(), helper.make_node(operator, ["m", "m"], ["y"], domain=domain)]
    with pytest.raises(InvalidModel, match=f"not taken: {domain or 'ai.onnx'}.{operator}"):
        _checked(_graph(nodes, tmp_path / "model.onnx", domains=(domain,) if domain else ()))


def test_functions_of_its_own_are_refused(tmp_path: Path) -> None:
    path = _graph([_mean(), helper.make_node("Relu", ["m"], ["y"])], tmp_path / "model.onnx")
    model = onnx.load_model_from_string(path.read_bytes())
    model.functions.add(name="Relu", domain="ai.onnx")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidModel, match="functions of its own"):
        _checked(path)


def test_weights_must_be_finite(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.full((3, 3), np.nan, np.float32), "w")
    nodes = [_mean(), helper.make_node("MatMul", ["m", "w"], ["y"])]
    with pytest.raises(InvalidModel, match="not finite"):
        _checked(_graph(nodes, tmp_path / "model.onnx", weight))


def test_its_answer_must_be_finite(tmp_path: Path) -> None:
    zero = numpy_helper.from_array(np.zeros(3, np.float32), "z")
    nodes = [_mean(), helper.make_node("Div", ["m", "z"], ["y"])]
    with pytest.raises(InvalidModel, match="its output is not finite"):
        _checked(_graph(nodes, tmp_path / "model.onnx", zero))


@pytest.mark.parametrize("inputs", [("n", 3), ("n", 3, 4, 4, 4), ("n", 3, 4, 9999)])
def test_other_inputs_than_images_are_refused(
    tmp_path: Path, inputs: tuple[str | int, ...]
) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(InvalidModel, match="input"):
        _checked(_graph(nodes, tmp_path / "model.onnx", inputs=inputs))


def test_a_second_output_is_refused(tmp_path: Path) -> None:
    path = _graph([_mean(), helper.make_node("Relu", ["m"], ["y"])], tmp_path / "model.onnx")
    model = onnx.load_model_from_string(path.read_bytes())
    model.graph.output.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, ("n", 3)))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidModel, match="2 outputs"):
        _checked(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(exported: Path, tmp_path: Path, share: float) -> None:
    content = exported.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(EngineError):
        _checked(tmp_path / "cut.onnx")


def test_what_people_wrote_into_it_is_left_behind(exported: Path, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(exported.read_bytes())
    model.metadata_props.add(key="ort_config", value='{"session_options": {}}')
    model.doc_string = "secret"
    (tmp_path / "noted.onnx").write_bytes(model.SerializeToString())
    content = read_onnx(tmp_path / "noted.onnx").content
    assert b"secret" not in content
    assert b"ort_config" not in content


def test_a_graph_has_no_parameters_to_train_and_stays_as_it_is(
    exported: Path, make_input: Callable[[], torch.Tensor]
) -> None:
    graph, _, _ = _checked(exported)
    assert list(graph.parameters()) == []
    assert not graph(make_input().requires_grad_()).requires_grad


@pytest.fixture
def make_input() -> Callable[[], torch.Tensor]:
    return lambda: torch.zeros(1, 3, 8, 8)
