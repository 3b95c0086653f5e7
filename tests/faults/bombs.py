"""Small files that ask for much memory or time: of the API's look, and of the check's."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from onnx import TensorProto, helper

from tests.faults.case import Case, dataset, graph, model
from tests.faults.lies_of_arrays import npy, said, with_array
from tests.faults.lies_of_graphs import hungry
from tests.faults.lies_of_pictures import chunk, jpeg, png
from tests.faults.lies_of_weights import entry, raw_safetensors
from tests.faults.pickles import in_torch_zip
from tests.faults.seeds import (
    csv_members,
    folder_zip,
    image_members,
    onnx_file,
    picture,
    pixels,
    torch_file,
    zipped,
)

_MEGABYTE: Final = 1 << 20


def zip_of_many(count: int, name: bytes = b"train/a/%07d.png", *, one: bool = False) -> bytes:
    """A zip of `count` empty members; with `one`, all of them are the first."""
    names = [name % number for number in range(count)]
    length = len(names[0])
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, length, 0)
    content = b"".join(local + each for each in names[: 1 if one else count])
    head = struct.pack("<4s6H3I5HI", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, length, *[0] * 5)
    step = 0 if one else len(local) + length
    directory = b"".join(
        head + (number * step).to_bytes(4, "little") + each for number, each in enumerate(names)
    )
    start, size = len(content), len(directory)
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1)
    most = 0xFFFF
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, most, most, 2**32 - 1, 2**32 - 1, 0)
    return content + directory + record + locator + end


def _nested(levels: int) -> bytes:
    data = zlib.compress(bytes(100 * _MEGABYTE), 9)
    for level in range(levels):
        data = zipped({f"train/a/{level}.zip": data, "train/b/0.png": data})
    return data


def _zeros(name: str, megabytes: int) -> bytes:
    """A zip with a member of zeros, written in pieces."""
    buffer = io.BytesIO(zipped(image_members()))
    with (
        zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        for _ in range(megabytes):
            member.write(bytes(_MEGABYTE))
    return buffer.getvalue()


def _repeated_picture() -> bytes:
    """A picture of a megabyte, of which a dictionary makes 200,000 rows."""
    image = picture(pixels(1, side=600)[0])
    indices = pa.array([0] * 200_000, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array([image], pa.binary()))
    buffer = io.BytesIO()
    table = pa.table({"image": column, "label": pa.array([0, 1] * 100_000)})
    pq.write_table(table, buffer, row_group_size=200_000)
    return buffer.getvalue()


def _tuples(depth: int) -> bytes:
    """A key of a dict that is a tuple of two tuples of two …, each the same: hashing never ends."""
    key: Any = "k"
    for _ in range(depth):
        key = (key, key)
    return torch_file({"note": [key], "layers.0.weight": torch.zeros(8, 16)})


def bombs() -> Iterator[Case]:
    """Each another."""
    yield dataset("image_zip", "a gigabyte of zeros in a zip", _zeros("train/cat/9.png", 1024))
    yield dataset("image_zip", "a million members that are one", zip_of_many(10**6, one=True))
    yield dataset("image_zip", "500,000 members of nothing", zip_of_many(500_000))
    yield graph("a model of 300,000 members", zip_of_many(300_000))
    yield dataset("image_zip", "100,000 members with long names",
                  zip_of_many(100_000, b"train/a/" + b"n" * 900 + b"%07d.png"))  # fmt: skip
    yield dataset("image_zip", "zips in zips in zips", _nested(5))
    empty = b'{"a":[' + b"[]," * (33 * _MEGABYTE) + b"[]]}"
    yield model("a header of 33 million lists", raw_safetensors(empty))
    lists = b'{"a":[' + b"[]," * (_MEGABYTE - 100) + b"[]]}"
    yield model("a header of a million lists", raw_safetensors(lists))
    texts = b'{"__metadata__":{' + b",".join(b'"%d":""' % i for i in range(250_000)) + b"}}"
    yield model("a header of 250,000 texts", raw_safetensors(texts))
    huge = {"w": entry([10**12], 0, 4 * 10**12)}
    yield model("safetensors of 4 TB", raw_safetensors(huge, b"0000"))
    view = {"layers.0.weight": torch.zeros(1).expand(10**12)}
    yield model("a view of 4 TB", torch_file(view))
    yield model("a text of tuples of tuples", _tuples(26))
    yield graph("a config of a million lists", folder_zip(b'{"a":[' + b"[]," * 10**6 + b"[]]}"))
    yield dataset("npz", "an array of 192 TB", with_array(npy(said("(10**12, 8, 8, 3)"))))
    yield dataset("npz", "an array of a gigabyte of zeros", _npz_of_zeros())
    line = zlib.compress(bytes(200 * _MEGABYTE), 9)
    for name, image in {
        "a PNG of 14,000 by 14,000": png(14_000, 14_000, chunk(b"IDAT", line), bits=1, colour=0),
        "a PNG with 200 MB of text": png(8, 8, chunk(b"zTXt", b"a\0\0" + line)),
        "a JPEG of 65,500 by 65,500": jpeg(65_500, 65_500),
    }.items():
        members = zipped(image_members({"train/cat/9.png": image}), zipfile.ZIP_STORED)
        yield dataset("image_zip", name, members, may_pass=True)
    yield dataset("parquet", "a picture 200,000 times", _repeated_picture(), may_pass=True)
    rows = "path,label\n" + "images/0.png,a\n" * 10_000_000
    yield dataset("csv_zip", "a table of 10 million rows", zipped(csv_members(rows)))
    for name, data in hungry().items():
        yield graph(f"onnx: {name}", data)


def _npz_of_zeros() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as member:
            member.write(npy(said("(5592405, 8, 8, 3)")))
            for _ in range(1024):
                member.write(bytes(_MEGABYTE))
        archive.writestr("y_train.npy", npy(said("(5592405,)", "'<i8'"), bytes(64)))
    return buffer.getvalue()


def endless() -> Iterator[Case]:
    """What no look at a header finds: a check of these goes on for hours."""
    tuples = b"X\x01\x00\x00\x00k" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(40))
    yield model("a key to hash of 2^40 tuples", in_torch_zip(b"\x80\x02}" + tuples + b"K\x01s."))
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.001])
    chain = [helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(2000)]
    last = helper.make_node("ReduceMean", ["m2000"], ["q"], keepdims=0)
    first = helper.make_node("ConstantOfShape", ["s"], ["m0"], value=value)
    nodes = [
        *(first, *chain, last, helper.make_node("Flatten", ["x"], ["flat"])),
        *(helper.make_node("Gemm", ["flat", "w"], ["z"], transB=1),),
        *(helper.make_node("Add", ["z", "q"], ["y"]),),
    ]
    weights = onnx.numpy_helper.from_array(np.ones((3, 16), np.float32), "w")
    sides = onnx.numpy_helper.from_array(np.array([8192, 8192]), "s")
    yield graph("2,000 products of 8,192²", onnx_file(nodes=nodes, initializer=[weights, sides]))
