"""Runtime graphs as models: what runs them, what refuses them, and how large they are."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import modelpress
from worker.engine.errors import InvalidModel, NotExportable, NotTrainable
from worker.engine.measure.macs import macs
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.measure.size import nonzero_parameters, parameters, size_bytes
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import load_any, load_folder, save_graph
from worker.engine.models.graph import Graph
from worker.engine.models.graph_size import graph_size

CPU = torch.device("cpu")
CONFIG = ModelConfig(
    architecture="onnx", classes=2, input_size=(3, 4, 4), mean=(0.0,) * 3, std=(1.0,) * 3
)


def _content(
    batch: int | str = "n", weight: object = ((1.0, 0.0), (0.0, 2.0), (0.0, 0.0))
) -> bytes:
    """Means of the channels, times a matrix."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["m", "w"], ["y"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, 3, 4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (batch, 2))],
        [numpy_helper.from_array(np.array(weight, np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = onnx.ModelProto.SerializeToString(model)
    return content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_graph(_content(), CONFIG, tmp_path / "model", "# card")
    return tmp_path / "model"


def test_it_answers_like_a_module(folder: Path) -> None:
    loaded = load_any(folder)
    inputs = torch.zeros(5, 3, 4, 4)
    inputs[:, 1] = 3.0
    assert loaded.module(inputs).tolist() == [[0.0, 6.0]] * 5
    assert loaded.config == CONFIG


def test_its_size_is_that_of_its_weights(folder: Path) -> None:
    module = load_any(folder).module
    assert (parameters(module), nonzero_parameters(module)) == (6, 2)
    assert macs(module, (3, 4, 4)) == 6
    assert size_bytes(folder) == len(_content())


def test_a_fixed_batch_counts_as_one_input(tmp_path: Path) -> None:
    assert graph_size(_content(batch=4)).macs == 6
    graph = Graph(_content(batch=4))
    assert graph(torch.ones(6, 3, 4, 4)).tolist() == [[1.0, 2.0]] * 6


def test_macs_are_unknown_where_an_operator_is_not_counted() -> None:
    model = onnx.load_model_from_string(_content())
    model.graph.node[1].op_type = "Einsum"
    assert graph_size(model.SerializeToString()).macs is None


def test_it_is_timed_in_onnxruntime_and_not_in_eager(folder: Path) -> None:
    runner = RUNTIMES["onnxruntime"](folder, batch_size=4, device=CPU, threads=1)
    runner()
    assert runner.max_abs_difference == 0.0
    assert runner.predict(torch.ones(3, 3, 4, 4)).tolist() == [[1.0, 2.0]] * 3
    with pytest.raises(NotExportable, match="ONNX Runtime only"):
        RUNTIMES["eager"](folder, batch_size=4, device=CPU, threads=1)


def test_it_cannot_be_loaded_to_be_trained(folder: Path) -> None:
    with pytest.raises(NotTrainable):
        load_folder(folder)
    with pytest.raises(ValueError, match="runtime graph"):
        modelpress.load(folder)


def test_half_precision_inputs_are_taken(folder: Path) -> None:
    assert load_any(folder).module(torch.ones(1, 3, 4, 4).half()).dtype == torch.float32


def test_what_is_no_graph_is_named(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"\x08\x08")
    with pytest.raises(InvalidModel):
        load_any(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(InvalidModel, match=r"cannot read model\.onnx"):
        load_any(folder)
