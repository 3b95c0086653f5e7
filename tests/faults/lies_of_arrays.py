"""Arrays that lie: .npz."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tests.faults.case import Case, dataset
from tests.faults.seeds import arrays, npz, pixels, zipped


def npy(header: str | bytes, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A .npy with any header."""
    text = header.encode("latin-1") if isinstance(header, str) else header
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little") + text + data


def said(shape: str, descr: str = "'|u1'", order: str = "False") -> str:
    """A header in numpy's words."""
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def with_array(member: bytes, name: str = "x_train.npy") -> bytes:
    """The good .npz, one array of it replaced."""
    with zipfile.ZipFile(io.BytesIO(npz())) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    return zipped({**members, name: member})


_HEADERS: Mapping[str, str | bytes] = {
    "10^12 pictures": said("(1000000000000, 8, 8, 3)"),
    "2^63 pictures": said("(9223372036854775808, 8, 8, 3)"),
    "a shape that overflows to 0": said("(4294967296, 4294967296, 1, 1)"),
    "a negative side": said("(-1, 8, 8, 3)"),
    "a shape that is a number": said("7"),
    "a shape that is text": said("'8'"),
    "a shape of fractions": said("(1.5, 8, 8, 3)"),
    "a shape of truths": said("(True, 8, 8, 3)"),
    "65 sides": said(repr((1,) * 65)),
    "no sides": said("()"),
    "objects": said("(12,)", "'|O'"),
    "texts": said("(12,)", "'<U9'"),
    "records": said("(12,)", "[('a', '<i4'), ('b', '|O')]"),
    "records of records": said("(12,)", "[('a', [('b', '<i4')])]"),
    "dates": said("(12,)", "'<M8[s]'"),
    "voids": said("(12,)", "'|V1000000000'"),
    "a dtype of nobody": said("(12,)", "'<q9'"),
    "a dtype that is a call": said("(12,)", "__import__('os').system('true')"),
    "an expression": "__import__('os').getcwd()\n",
    "brackets": "(" * 5000 + "\n",
    "nothing": "",
    "a list": "[1, 2]\n",
    "a missing key": "{'descr': '|u1', 'shape': (1,)}\n",
    "a key too many": said("(1,)").replace("}", "'evil': 1}"),
    "bytes": b"\xff\xfe\x00\x00",
    "60,000 spaces": " " * 60_000 + "\n",
    "an order that is text": said("(12, 8, 8, 3)", order="'yes'"),
}


def lies_of_arrays() -> Iterator[Case]:
    """Each another lie."""
    for name, header in _HEADERS.items():
        yield dataset("npz", f"npz: {name}", with_array(npy(header, bytes(64))))
    for version in ((0, 0), (1, 1), (2, 0), (3, 0), (9, 9)):
        data = with_array(npy(said("(10**9,)"), b"", version))
        yield dataset("npz", f"npz: version {version}", data)
    for width in (2**31, 2**32 - 1):
        member = b"\x93NUMPY\2\0" + width.to_bytes(4, "little") + b"{}"
        yield dataset("npz", f"npz: a header of {width} bytes", with_array(member))
    for name, changed in _wrong_arrays().items():
        yield dataset("npz", f"npz: {name}", npz(**changed), may_pass=name in _HARMLESS)
    yield dataset("npz", "npz: not an array", with_array(b"hello"))
    yield dataset("npz", "npz: an empty array", with_array(b""))
    yield dataset("npz", "npz: an array beside", with_array(npz(), "more.npz"), may_pass=True)
    many: dict[str, Any] = {f"a{i}": np.zeros(1) for i in range(100)}
    yield dataset("npz", "npz: a hundred arrays", npz(**many))


_HARMLESS = ("one class", "a class that only test has")


def _wrong_arrays() -> Mapping[str, dict[str, Any]]:
    good = arrays()
    x, y = good["x_train"], good["y_train"]
    nan = x.astype(np.float32)
    nan[3, 2, 1, 0] = np.nan
    pickled = np.empty(12, dtype=object)
    return {
        "no train": {"x_train": None, "y_train": None},
        "no labels": {"y_train": None},
        "no pictures": {"x_train": None},
        "fewer labels": {"y_train": y[:-1]},
        "more labels": {"y_train": np.arange(13) % 3},
        "no examples": {"x_train": x[:0], "y_train": y[:0]},
        "one example": {"x_train": x[:1], "y_train": y[:1]},
        "one class": {"y_train": y * 0, "y_test": np.zeros(6, np.int64)},
        "negative labels": {"y_train": y - 2},  # −1 stands for none
        "labels of 10^12": {"y_train": y * 10**12},
        "labels of 2^63": {"y_train": np.full(12, 2**63, np.uint64)},
        "labels that are fractions": {"y_train": y / 2},
        "labels that are NaN": {"y_train": y * np.nan},
        "labels that are texts": {"y_train": y.astype(str)},
        "labels that are truths": {"y_train": y > 0},
        "labels that are rows": {"y_train": np.eye(12)},
        "labels that are one number": {"y_train": np.int64(3)},
        "pictures that are objects": {"x_train": pickled},
        "pictures that are NaN": {"x_train": nan},
        "pictures that are infinite": {"x_train": np.full_like(nan, np.inf)},
        "pictures that are complex": {"x_train": x.astype(np.complex64)},
        "pictures that are texts": {"x_train": x.astype(str)},
        "pictures that are of int64": {"x_train": x.astype(np.int64)},
        "pictures of one side": {"x_train": np.zeros(12, np.uint8)},
        "pictures of nine sides": {"x_train": np.zeros((12, *[1] * 8), np.uint8)},
        "pictures of no width": {"x_train": x[:, :, :0]},
        "pictures of seven channels": {"x_train": np.zeros((12, 8, 8, 7), np.uint8)},
        "another size for test": {"x_test": pixels(6, side=9)},
        "other channels for test": {"x_test": pixels(6)[..., :1]},
        "other numbers for test": {"x_test": pixels(6).astype(np.float32)},
        "a class that only test has": {"y_test": np.full(6, 7)},
        "an array twice": {"x_val": pixels(6), "x_validation": pixels(6)},
        "pictures without labels": {"x_validation": pixels(3)},
    }
