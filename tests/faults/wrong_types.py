"""Files of another format than the one they are sent as."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

import numpy as np
import torch

from service.contract.datasets import DatasetFormat
from tests.faults.case import Case, dataset, graph, model
from tests.faults.seeds import picture, pixels, seeds, torch_file, weights, zipped


@cache
def foreign() -> Mapping[str, bytes]:
    """One file each of formats that are never taken."""
    state = dict(weights())
    plain = {name: tensor.tolist() for name, tensor in state.items()}
    single = io.BytesIO()
    np.save(single, pixels(2))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.safetensors"))
    return {
        "nothing": b"",
        "one byte": b"\0",
        "seven bytes": b"\0" * 7,
        "zeros": bytes(4096),
        "ones": b"\xff" * 4096,
        "text": b"these are my weights\n" * 20,
        "json": json.dumps(plain).encode(),
        "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
        "xml": b"<?xml version='1.0'?><net name='model'/>",
        "an lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        **{f"pickle {n}": pickle.dumps(plain, protocol=n) for n in range(6)},
        "a legacy torch file": torch_file(state, _use_new_zipfile_serialization=False),
        "torchscript": _torchscript(),
        "a pt2": _exported(),
        "gzip": gzip.compress(torch_file(state)),
        "bzip2": bz2.compress(torch_file(state)),
        "xz": lzma.compress(torch_file(state)),
        "zlib": zlib.compress(pickle.dumps(plain)),
        "tar": tar.getvalue(),
        "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(64),
        "rar": b"Rar!\x1a\x07\x01\x00" + bytes(64),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(256),
        "keras": zipped({"config.json": "{}", "metadata.json": "{}", "model.weights.h5": "x"}),
        "gguf": b"GGUF" + (3).to_bytes(4, "little") + bytes(64),
        "tflite": b"\x1c\0\0\0TFL3" + bytes(64),
        "executorch": b"\x1c\0\0\0ET12" + bytes(64),
        "a program": b"\x7fELF\2\1\1" + bytes(64),
        "a saved model": b"\x08\x01\x12\x04\x0a\x02\x2a\x00",
        "npy": single.getvalue(),
        "png": picture(pixels(1)[0]),
        "jpeg": picture(pixels(1)[0], "JPEG"),
        "pdf": b"%PDF-1.7\n" + bytes(64),
        "an empty zip": b"PK\5\6" + bytes(18),
        "a zip of text": zipped({"readme.txt": "hello"}),
        "a zip of a model": zipped({"a/model.pt": torch_file(state)}),
    }


def _torchscript() -> bytes:
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, which is not news
        traced: Any = torch.jit.trace  # untyped
        torch.jit.save(traced(torch.nn.Linear(4, 2), torch.ones(1, 4)), buffer)
    return buffer.getvalue()


def _exported() -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(4, 2), (torch.ones(1, 4),)), buffer)
    return buffer.getvalue()


def wrong_types() -> Iterator[Case]:
    """Every format as every other one, and formats that nobody takes as all of them."""
    for name, data in foreign().items():
        yield model(f"{name} as weights", data)
        for format_ in get_args(DatasetFormat):
            yield dataset(format_, f"{name} as {format_}", data)
    for seed in seeds():
        for format_ in get_args(DatasetFormat):
            if seed.said.get("format") != format_:
                yield dataset(format_, f"{seed.name} as {format_}", seed.data)
        if seed.kind == "dataset":
            yield graph(f"{seed.name} as a model", seed.data)
