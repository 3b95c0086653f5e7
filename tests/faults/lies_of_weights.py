"""Weights whose headers lie: safetensors, and what torch.save writes."""

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from safetensors.torch import save

from tests.faults.case import Case, model
from tests.faults.seeds import torch_file, weights, zipped

_MANY = 10**12


def raw_safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """With any header, and any length said of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    said = len(text) if length is None else length
    return said.to_bytes(8, "little") + text + data


def entry(shape: object, begin: object, end: object, dtype: object = "F32") -> Mapping[str, Any]:
    """What a header says of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def lies_of_safetensors() -> Iterator[Case]:
    """Each another lie."""
    one = entry([1], 0, 4)
    headers: dict[str, tuple[object, bytes]] = {
        "a list for a header": ([one], b"0000"),
        "a number for a header": (7, b""),
        "an empty header": ({}, b""),
        "only metadata": ({"__metadata__": {"format": "pt"}}, b""),
        "a header that is not UTF-8": (b'{"\xff": 1}', b""),
        "brackets a million deep": (b"[" * 1_000_000, b""),
        "objects a million deep": (b'{"a":' * 200_000, b""),
        "a million empty lists": (b'{"a":[' + b"[]," * 1_000_000 + b"[]]}", b""),
        "5 MB of spaces": (b"{" + b" " * 5_000_000 + b"}", b""),
        "a name twice": (b'{"w":%s,"w":%s}' % ((json.dumps(one).encode(),) * 2), b"0000"),
        "a key twice": (b'{"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
                        b"0000"),
        "metadata twice": (b'{"__metadata__":{},"__metadata__":{},"w":%s}'
                           % json.dumps(one).encode(), b"0000"),
        "metadata of numbers": ({"__metadata__": {"a": 1}, "w": one}, b"0000"),
        "metadata of objects": ({"__metadata__": {"a": {"b": "c"}}, "w": one}, b"0000"),
        "a NaN in the header": (b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', b""),
        "10^12 elements": ({"w": entry([_MANY], 0, 4 * _MANY)}, b"0000"),
        "10^12 elements in 4 bytes": ({"w": entry([_MANY], 0, 4)}, b"0000"),
        "a shape that overflows": ({"w": entry([2**32, 2**32], 0, 0)}, b""),
        "a shape of 2^64": ({"w": entry([2**64], 0, 4)}, b"0000"),
        "a shape of 10^5 digits": (b'{"w":{"dtype":"F32","shape":[%s],"data_offsets":[0,4]}}'
                                   % (b"9" * 100_000), b"0000"),
        "a negative side": ({"w": entry([-1], 0, 4)}, b"0000"),
        "a side that is true": ({"w": entry([True], 0, 4)}, b"0000"),
        "a side that is text": ({"w": entry(["1"], 0, 4)}, b"0000"),
        "a side that is a fraction": ({"w": entry([1.0], 0, 4)}, b"0000"),
        "nine sides": ({"w": entry([1] * 9, 0, 4)}, b"0000"),
        "a thousand sides": ({"w": entry([1] * 1000, 0, 4)}, b"0000"),
        "a dtype of nobody": ({"w": entry([1], 0, 4, "F128")}, b"0000"),
        "a dtype that is null": ({"w": entry([1], 0, 4, None)}, b"0000"),
        "offsets the other way round": ({"w": entry([1], 4, 0)}, b"0000"),
        "offsets behind the end": ({"w": entry([1], 4, 8)}, b"0000"),
        "negative offsets": ({"w": entry([1], -4, 0)}, b"0000"),
        "two tensors on the same bytes": ({"a": one, "b": one}, b"0000"),
        "a gap": ({"a": one, "b": entry([1], 8, 12)}, b"0" * 12),
        "bytes that belong to nobody": ({"w": one}, b"0" * 64),
        "a tensor without an entry": ({"w": None}, b""),
        "a tensor that is a list": ({"w": [1, 2]}, b""),
        "unknown keys": ({"w": {**one, "evil": 1}}, b"0000"),
        "a name with NUL": ({"layers\0.0": one}, b"0000"),
        "a name with control characters": ({"\x1b[2J\r\n": one}, b"0000"),
        "an empty name": ({"": one}, b"0000"),
        "a name of a megabyte": ({"n" * 1_000_000: one}, b"0000"),
        "a name that is a path": ({"../../etc/passwd": one}, b"0000"),
        "20,001 tensors": ({f"t{i}": entry([0], 0, 0) for i in range(20_001)}, b""),
        "20,000 tensors": ({f"t{i}": entry([0], 0, 0) for i in range(20_000)}, b""),
    }  # fmt: skip
    for name, (header, data) in headers.items():
        yield model(f"safetensors: {name}", raw_safetensors(header, data))
    for length in (0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        data = raw_safetensors({"w": one}, b"0000", length)
        yield model(f"safetensors: a header of {length} bytes", data)
    for name, tensors in _other_tensors().items():
        yield model(f"safetensors: {name}", save(tensors))


def lies_of_torch() -> Iterator[Case]:
    """State dicts that are none, or claim what they do not hold."""
    looped: dict[str, Any] = {}
    looped["state_dict"] = looped
    deep: Any = dict(weights())
    for _ in range(100):
        deep = {"state_dict": deep}
    contents: dict[str, object] = {
        "a view of 10^12 elements": {"layers.0.weight": torch.zeros(1).expand(_MANY)},
        "ten views of 10^11": {f"w{i}": torch.zeros(1).expand(10**11) for i in range(10)},
        "a dict in itself": looped,
        "weights a hundred dicts deep": deep,
        "a list": [1, 2],
        "a number": 7,
        "a text": "weights",
        "nothing": None,
        "an empty dict": {},
        "numbers for names": dict(enumerate(weights().values())),
        "numbers for tensors": dict.fromkeys(weights(), 1.0),
        "a tensor alone": torch.zeros(3),
        "a sparse tensor": {"layers.0.weight": torch.eye(8).to_sparse()},
        "a tensor on meta": {"layers.0.weight": torch.empty(8, 16, device="meta")},
        "a complex tensor": {"layers.0.weight": torch.zeros(8, 16, dtype=torch.complex64)},
        "a text of 10 MB": {"note": "n" * 10_000_000, **weights()},
        "50,000 keys": {f"k{i}": i for i in range(50_000)},
        "a whole module": torch.nn.Linear(2, 2),
        "a function": math.sqrt,
        "an optimizer's state only": {"optimizer": {"state": {}, "param_groups": []}},
    }
    for name, content in contents.items():
        yield model(f"torch: {name}", torch_file(content))
    for name, tensors in _other_tensors().items():
        yield model(f"torch: {name}", torch_file(tensors))
    for name, data in _other_zips().items():
        yield model(f"torch: {name}", data)


def _other_tensors() -> Mapping[str, dict[str, torch.Tensor]]:
    good = weights()
    first = "layers.0.weight"
    nan, infinite = good[first].clone(), good[first].clone()
    nan[0, 0], infinite[7, 15] = math.nan, math.inf
    return {
        "a weight that is NaN": {**good, first: nan},
        "a weight that is infinite": {**good, first: infinite},
        "weights that overflow": {**good, first: good[first] * 3e38},
        "a missing tensor": {name: t for name, t in good.items() if name != first},
        "a tensor too many": {**good, "layers.9.weight": torch.zeros(2)},
        "another shape": {**good, first: torch.zeros(8, 17)},
        "a transposed tensor": {**good, first: good[first].t().contiguous()},
        "whole numbers": {**good, first: torch.ones(8, 16, dtype=torch.int64)},
        "booleans": {**good, first: torch.ones(8, 16, dtype=torch.bool)},
        "an empty tensor": {**good, first: torch.zeros(0, 16)},
        "a scalar": {**good, first: torch.tensor(1.0)},
    }


def _other_zips() -> Mapping[str, bytes]:
    """Of the members that torch.save writes."""
    with zipfile.ZipFile(io.BytesIO(torch_file(dict(weights())))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stored = zipfile.ZIP_STORED
    pickled = next(name for name in members if name.endswith("data.pkl"))
    storage = next(name for name in members if name.endswith("data/0"))

    def with_(changed: Mapping[str, bytes]) -> bytes:
        return zipped({**members, **changed}, stored)

    def without(*names: str) -> bytes:
        return zipped({n: data for n, data in members.items() if n not in names}, stored)

    return {
        "compressed members": zipped(members),
        "no pickle": without(pickled),
        "no storage": without(storage),
        "a short storage": with_({storage: members[storage][:8]}),
        "an empty storage": with_({storage: b""}),
        "half a pickle": with_({pickled: members[pickled][:40]}),
        "an empty pickle": with_({pickled: b""}),
        "a pickle of 9 MB": with_({pickled: b"\x80\x02" + b"N0" * 4_500_000 + b"N."}),
        "a pickle of a million marks": with_({pickled: b"\x80\x02" + b"(" * 1_000_000}),
        "a pickle that pops nothing": with_({pickled: b"\x80\x020."}),
        "a pickle with a memo of 2^31": with_({pickled: b"\x80\x02}r\xff\xff\xff\x7f."}),
        "a pickle with a number of 2^31 bytes": with_({pickled: b"\x80\x02\x8b\xff\xff\xff\x7f."}),
        "a pickle with a text of 2^63": with_({pickled: b"\x80\x04\x8d" + b"\xff" * 8 + b"."}),
        "a storage of another name": with_({storage + "x": b"1234"}),
        "a program beside": with_({"archive/code/__torch__.py": b"import os"}),
        "an archive beside": with_({"archive/data/more.zip": zipped({"a": "b"})}),
        "a folder twice": with_({"other/data.pkl": members[pickled]}),
    }
