"""A small good file of every format that is taken: what the others are made from."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import save

from tests.faults.case import MLP, Case, dataset, graph, model

CONFIG: Final[Mapping[str, Any]] = {
    "format": "modelpress/1",
    "architecture": MLP["architecture"],
    "options": MLP["options"],
    "classes": MLP["classes"],
    "input_size": MLP["input_size"],
    "mean": [0.5],
    "std": [0.5],
}


@cache
def weights() -> Mapping[str, torch.Tensor]:
    """Of the MLP 16 → 8 → 3."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"layers.0": (8, 16), "layers.3": (3, 8)}
    found = {}
    for name, shape in shapes.items():
        found[f"{name}.weight"] = torch.randn(shape, generator=generator)
        found[f"{name}.bias"] = torch.zeros(shape[0])
    return found


def torch_file(content: object, **options: Any) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def folder_zip(config: object = CONFIG, **members: bytes) -> bytes:
    """A model's folder as zip."""
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    inside = {"config.json": text, "model.safetensors": save(dict(weights())), **members}
    return zipped(inside)


def onnx_file(**changed: Any) -> bytes:
    """A Flatten and a Gemm; `changed` are fields of the graph."""
    matrix = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    parts: dict[str, Any] = {
        "nodes": [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w"], ["y"], transB=1),
        ],
        "inputs": [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        "outputs": [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        "initializer": [onnx.numpy_helper.from_array(matrix, "w")],
        **changed,
    }
    made = helper.make_graph(
        parts["nodes"], "g", parts["inputs"], parts["outputs"], initializer=parts["initializer"]
    )
    proto = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18)], functions=parts.get("functions", [])
    )
    proto.ir_version = 8
    return bytes(proto.SerializeToString())


def pixels(count: int, side: int = 8) -> NDArray[np.uint8]:
    """Noise, [N, side, side, 3]."""
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


def arrays(**changed: Any) -> dict[str, Any]:
    """What a good .npz holds; None takes an array away."""
    found = {
        "x_train": pixels(12),
        "y_train": np.arange(12) % 3,
        "x_test": pixels(6),
        "y_test": np.arange(6) % 3,
        **changed,
    }
    return {name: array for name, array in found.items() if array is not None}


def npz(compressed: bool = True, **changed: Any) -> bytes:
    """An .npz of `arrays`."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays(**changed))
    return buffer.getvalue()


def picture(array: NDArray[np.uint8], format_: str = "PNG", **options: Any) -> bytes:
    """Encoded by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format_, **options)
    return buffer.getvalue()


def image_members(more: Mapping[str, bytes] | None = None) -> dict[str, bytes | str]:
    """A tree of two classes, PNG and JPEG, and `more`."""
    found: dict[str, bytes | str] = {}
    for split, each in (("train", 4), ("test", 2)):
        for label in ("cat", "dog"):
            for index, array in enumerate(pixels(each)):
                form = "PNG" if label == "cat" else "JPEG"
                found[f"{split}/{label}/{index}.{form.lower()}"] = picture(array, form)
    return found | dict(more or {})


def rows(**changed: Any) -> dict[str, Any]:
    """The columns of a good parquet file."""
    images = [{"bytes": picture(array), "path": None} for array in pixels(12)]
    splits = ["train"] * 8 + ["test"] * 4
    found = {"image": images, "label": [i % 3 for i in range(12)], "split": splits, **changed}
    return {name: column for name, column in found.items() if column is not None}


def parquet(
    columns: Mapping[str, Any] | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
    **options: Any,
) -> bytes:
    """A parquet file; `metadata` is of its schema."""
    buffer = io.BytesIO()
    table = pa.table(dict(rows() if columns is None else columns))
    pq.write_table(table.replace_schema_metadata(metadata), buffer, **options)
    return buffer.getvalue()


def csv_members(table: str | bytes | None = None) -> dict[str, bytes | str]:
    """Pictures and a table.csv."""
    pictures = {f"images/{index}.png": picture(array) for index, array in enumerate(pixels(9))}
    if table is None:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["path", "label", "split"])
        for index, name in enumerate(pictures):
            writer.writerow([name, "abc"[index % 3], "test" if index >= 6 else "train"])
        table = text.getvalue()
    return {"table.csv": table, **pictures}


@cache
def seeds() -> tuple[Case, ...]:
    """One good file a format; each becomes a model or a dataset."""
    return (
        model("safetensors", save(dict(weights()))),
        model("torch", torch_file(dict(weights()))),
        graph("folder zip", folder_zip()),
        graph("onnx", onnx_file()),
        dataset("npz", "npz", npz()),
        dataset("image_zip", "image zip", zipped(image_members(), zipfile.ZIP_STORED)),
        dataset("parquet", "parquet", parquet()),
        dataset("csv_zip", "csv zip", zipped(csv_members())),
    )
