"""Writes the one form in which datasets are stored, in one pass and in little memory.

A safetensors file is a JSON header and the arrays' bytes behind it. The labels come first: they
are the only ones that need to lie at multiples of eight bytes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from worker.engine.data.rows import Array, ArrayRows, Part
from worker.engine.data.split import Split, digest_name

KEY: Final = "modelpress"
_TYPES: Final = {"uint8": "U8", "float32": "F32", "int64": "I64"}
_UNKNOWN: Final = "0" * 64

Seen = Callable[[str, Array], None]


def part_of(split: Split) -> Part:
    """A split that is in memory, as it is."""
    y = split.y.numpy()
    return Part(ArrayRows(split.x.numpy()), np.arange(len(y), dtype=np.int64), y)


def write_parts(
    parts: Mapping[str, Part], labels: tuple[str, ...] | None, path: Path, seen: Seen
) -> str:
    """Write train, validation and test, and return the digest of `Data` that will be read.

    `seen` gets the inputs that pass, piece by piece, with the name of their split.
    """
    assert list(parts) == ["train", "validation", "test"]
    digest = hashlib.sha256()
    with path.open("wb") as file:
        file.write(_header(parts, labels, _UNKNOWN))
        for part in parts.values():
            file.write(np.ascontiguousarray(part.y).data)
        for name, part in parts.items():
            digest.update(digest_name(f"{name}_x", part.rows.dtype, part.x_shape))
            for rows in part.chunks():
                raw = np.ascontiguousarray(rows).data
                digest.update(raw)
                file.write(raw)
                seen(name, rows)
            digest.update(digest_name(f"{name}_y", part.y.dtype, part.y.shape))
            digest.update(np.ascontiguousarray(part.y).data)
        _rewrite_header(file, _header(parts, labels, digest.hexdigest()))
    return digest.hexdigest()


def _header(parts: Mapping[str, Part], labels: tuple[str, ...] | None, digest: str) -> bytes:
    about = {"labels": None if labels is None else list(labels), "digest": digest}
    entries: dict[str, Any] = {"__metadata__": {KEY: json.dumps(about)}}
    at = 0
    for name, part in parts.items():
        entries[f"{name}_y"] = _entry(part.y.dtype, part.y.shape, at, part.y.nbytes)
        at += part.y.nbytes
    for name, part in parts.items():
        entries[f"{name}_x"] = _entry(part.rows.dtype, part.x_shape, at, part.x_bytes)
        at += part.x_bytes
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _entry(dtype: np.dtype[Any], shape: tuple[int, ...], at: int, size: int) -> dict[str, Any]:
    return {"dtype": _TYPES[dtype.name], "shape": list(shape), "data_offsets": [at, at + size]}


def _rewrite_header(file: BinaryIO, header: bytes) -> None:
    file.seek(0)
    file.write(header)
