"""Uploads that once were a defect of the service, and are a fault of the file, or none at all."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from tests.faults.seeds import CONFIG, folder_zip, picture, torch_file, weights, zipped
from worker.engine.errors import InvalidDataset, InvalidModel
from worker.handlers.intake import check
from worker.order import CheckedDataset, CheckedModel, DatasetCheckOrder, ModelCheckOrder

_MLP = {"architecture": "mlp", "options": {"hidden": [8]}, "classes": 3, "input_size": (1, 4, 4)}
_ONE = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
_BLANK = dict.fromkeys(("architecture", "classes", "input_size", "normalisation", "labels"))


def _model(folder: Path, form: str, data: bytes, **said: Any) -> CheckedModel:
    (folder / "source").write_bytes(data)
    order = ModelCheckOrder.model_validate(
        {**_BLANK, "options": {}, "source": "source", "format": form, "name": "x", **said}
    )
    checked = check(order, folder)
    checked.model_dump_json()
    assert isinstance(checked.checked, CheckedModel)
    return checked.checked


def _dataset(folder: Path, form: str, data: bytes) -> CheckedDataset:
    (folder / "source").write_bytes(data)
    order = DatasetCheckOrder.model_validate(
        {"source": "source", "format": form, "validation_share": 0.1, "image_size": None,
         "undecodable_share": 0.0, "seed": 0}
    )  # fmt: skip
    checked = check(order, folder)
    checked.model_dump_json()
    assert isinstance(checked.checked, CheckedDataset)
    return checked.checked


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Constant", [], ["c"]),
        onnx.NodeProto(op_type="Constant", attribute=[helper.make_attribute("value", _ONE)]),
        helper.make_node("Softmax", [], ["y"]),
    ],
    ids=["a constant of nothing", "a constant for nobody", "a softmax of nothing"],
)
def test_a_graph_with_half_a_node_is_refused(tmp_path: Path, node: onnx.NodeProto) -> None:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 1, 4, 4]), ("y", [1, 3]))
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(InvalidModel, match="checker"):
        _model(tmp_path, "onnx", model.SerializeToString())


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "[" * 900 + "]" * 900])
@pytest.mark.parametrize("key", ["extra", "compression"])
def test_a_config_that_could_not_be_written_again_is_refused(
    tmp_path: Path, key: str, value: str
) -> None:
    odd = {"a": "ODD"}
    config = json.dumps({**CONFIG, key: odd if key == "extra" else [odd]})
    with pytest.raises(InvalidModel, match=r"no number|nested"):
        _model(tmp_path, "huggingface", folder_zip(config.replace('"ODD"', value).encode()))


def test_names_with_half_a_character_are_shown_without_it(tmp_path: Path) -> None:
    labels = ["a\ud800", "b", "c"]
    folder = folder_zip({**CONFIG, "labels": labels})
    assert _model(tmp_path, "huggingface", folder).labels == ("a", "b", "c")
    file = torch_file({**weights(), "\ud800": 1})
    notes = _model(tmp_path, "torch", file, **_MLP).notes
    assert notes == ("ignored, since not tensors: \\ud800",)


def _npz(*sides: int) -> bytes:
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    arrays: dict[str, Any] = {}
    for split, count in (("train", 12), ("test", 4)):
        arrays[f"x_{split}"] = rng.random((count, *sides), np.float32)
        arrays[f"y_{split}"] = np.arange(count) % 2
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_rows_of_numbers_have_a_mean_each(tmp_path: Path) -> None:
    checked = _dataset(tmp_path, "npz", _npz(784))
    assert checked.input_size == (784,)
    assert len(checked.normalisation.mean) == 784


@pytest.mark.parametrize("sides", [(9000,), (1, 1, 1, 1, 2)], ids=["long", "deep"])
def test_examples_beyond_what_the_service_shows_are_refused(
    tmp_path: Path, sides: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidDataset, match=r"at most|less than or equal"):
        _dataset(tmp_path, "npz", _npz(*sides))


@pytest.mark.parametrize(
    ("path", "label", "words"),
    [
        (".", "a", "names no file"),
        ("0.png", "a" * 1000, "more than 128 characters"),
        ("0.png", "a\ud800", "cannot be shown"),
        ("0.png", "a\0", "cannot be shown"),
    ],
    ids=["a folder", "a long name", "half a character", "NUL"],
)
def test_a_table_is_refused_for_names_that_cannot_be_shown(
    tmp_path: Path, path: str, label: str, words: str
) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    table = json.dumps({"path": path, "label": label})
    with pytest.raises(InvalidDataset, match=words):
        _dataset(tmp_path, "csv_zip", zipped({"0.png": picture(pixels), "table.jsonl": table}))


def _parquet(names: list[str]) -> bytes:
    images = [picture(np.full((8, 8, 3), value, np.uint8)) for value in range(6)]
    features = {"info": {"features": {"label": {"names": names}}}}
    table = pa.table({"image": images, "label": [0, 1] * 3})
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("test_names", "words"),
    [(["dog", "cat"], "differently"), (["cat", "d" * 1000], "more than 128")],
)
def test_parquet_files_that_number_their_classes_differently_are_refused(
    tmp_path: Path, test_names: list[str], words: str
) -> None:
    files = {"train.parquet": _parquet(["cat", "dog"]), "test.parquet": _parquet(test_names)}
    with pytest.raises(InvalidDataset, match=words):
        _dataset(tmp_path, "parquet", zipped(files))
