"""Hostile datasets: arrays and tables with pickles, pictures that other readers would run."""

import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.case import Case, dataset
from tests.faults.lies_of_arrays import npy, said, with_array
from tests.faults.lies_of_zips import symlink
from tests.faults.marks import Marks, evil
from tests.faults.pickles import Call
from tests.faults.seeds import (
    csv_members,
    image_members,
    npz,
    picture,
    pixels,
    rows,
    zipped,
)


def arrays(marks: Marks) -> Iterator[Case]:
    """Numpy files with pickles."""
    objects = np.empty(12, dtype=object)
    objects[:] = [Call(os.system, (marks.command("npz of objects"),))] * 12
    yield dataset("npz", "npz of objects", npz(x_train=objects))
    yield dataset("npz", "npz of labels that are objects", npz(y_train=objects))
    header = said("(12,)", "'|O'")
    pickled = evil(marks, "npy of objects")
    yield dataset("npz", "npy of objects", with_array(npy(header, pickled)))
    yield dataset("npz", "a pickle for an array", with_array(evil(marks, "a pickle for an array")))
    python = f"__import__('os').system({marks.command('npy with a call')!r})"
    yield dataset("npz", "npy with a call", with_array(npy(said("(12,)", python))))
    yield dataset("npz", "npy that is a call", with_array(npy(python + "\n")))


class _Extension(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    """A type whose metadata older readers unpickled."""

    def __init__(self, storage: Any, pickled: bytes) -> None:
        self._pickled = pickled
        super().__init__(storage, "arrow.py_extension_type")

    def __arrow_ext_serialize__(self) -> bytes:
        return self._pickled


def tables(marks: Marks) -> Iterator[Case]:
    """Parquet with pickles in its metadata, and tables of formulas."""
    table = pa.table(rows())
    index = table.schema.get_field_index("label")
    kind = _Extension(pa.int64(), evil(marks, "a pickled type"))
    column = pa.ExtensionArray.from_storage(kind, table["label"].combine_chunks())
    typed = _written(table.set_column(index, "label", column))
    yield dataset("parquet", "a pickled type", typed, may_pass=True)
    features = {"info": {"features": {"label": {"_type": "os.system", "names": ["a", "b", "c"]}}}}
    for key, text in (
        ("pandas", evil(marks, "pandas metadata")),
        ("huggingface", json.dumps(features).encode()),
        ("ARROW:extension:metadata", evil(marks, "extension metadata")),
    ):
        with_text = table.replace_schema_metadata({key: text})
        yield dataset("parquet", f"parquet with {key}", _written(with_text), may_pass=True)
    for place in (str(marks.secret), "file:///etc/passwd", "http://127.0.0.1:9/x.png"):
        images = [{"bytes": None, "path": place}] * 12
        paths = _written(pa.table(rows(image=images)))
        yield dataset("parquet", f"parquet with pictures at {place}", paths)
        lines = f"path,label\n{place},a\n"
        yield dataset("csv_zip", f"csv with pictures at {place}", zipped(csv_members(lines)))
    formula = f"=cmd|'/c {marks.command('a formula')}'!A1"
    lines = "path,label\n" + "".join(f"images/{i}.png,{formula}{i % 2}\n" for i in range(9))
    yield dataset("csv_zip", "csv of formulas", zipped(csv_members(lines)), may_pass=True)


def _written(table: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def pictures(marks: Marks) -> Iterator[Case]:
    """What other readers of pictures would run."""
    shell = marks.command("a picture")
    for name, text in {
        "PostScript": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(%pipe%{shell}) run",
        "SVG": f"<svg><image href='file://{marks.secret}'/></svg>",
        "MVG": f"push graphic-context\nfill 'url(https://x\"|{shell}\")'\npop graphic-context",
        "XBM": f"#define x_width 8\n{shell}",
        "an expression": f"__import__('os').system({shell!r})",
    }.items():
        for ending in ("png", "jpg"):
            members = zipped(image_members({f"train/cat/9.{ending}": text.encode()}))
            yield dataset("image_zip", f"{name} called .{ending}", members)
    for folder in (f"$({shell})", f"`{shell}`", "<script>alert(1)</script>", "{{ 7*7 }}"):
        name = f"train/{folder.replace('/', '_')}/0.png"
        members = zipped(image_members({name: picture(pixels(1)[0])}))
        yield dataset("image_zip", f"a class called {folder[:40]}", members, may_pass=True)
    for target in (str(marks.secret), "/etc/passwd"):
        linked = symlink(zipped(image_members()), "train/cat/9.png", target)
        yield dataset("image_zip", f"a picture that is a link to {target}", linked)
    executable = zipfile.ZipInfo("train/cat/9.png")
    executable.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
    buffer = io.BytesIO(zipped(image_members()))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(executable, f"#!/bin/sh\n{shell}\n")
    yield dataset("image_zip", "a picture that is a program", buffer.getvalue())
