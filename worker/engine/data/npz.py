"""Arrays in numpy's .npz container, from anybody: nothing is unpickled, sizes are capped first."""

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from worker.engine.data.canonical import assemble
from worker.engine.data.split import VALIDATION_SHARE, Data
from worker.engine.errors import InvalidDataset
from worker.engine.shown import shown

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

MAX_BYTES: Final = 8 * 2**30
MAX_RATIO: Final = 1000  # runs of equal pixels compress well; zlib itself stops at 1032
_MAX_MEMBERS: Final = 32
_MAX_SIDES: Final = 8
_CHANNELS: Final = (1, 3, 4)

_NAMES: Final = {
    f"{prefix}{join}{spelling}": f"{split}_{letter}"
    for split, spellings in (
        ("train", ("train",)),
        ("validation", ("validation", "valid", "val")),
        ("test", ("test",)),
    )
    for spelling in spellings
    for letter, prefixes in (("x", ("x", "X")), ("y", ("y", "Y")))
    for prefix in prefixes
    for join in ("_",)
}
_HINT: Final = (
    "Name the arrays x_train, y_train, x_test, y_test and, if you have one, x_validation, "
    "y_validation (or x_val, x_valid); X_train and Y_train are the same."
)


def read_npz(path: Path, validation_share: float = VALIDATION_SHARE, seed: int = 0) -> Data:
    """Read x_train, y_train, x_test, y_test and optionally x_validation (x_val), y_validation.

    Images may be NHW, NHWC or NCHW in uint8; float32 and float64 arrays are taken as float32.
    Labels are integers from 0. Validation is cut from train if absent.
    Raises `InvalidDataset`, also for an array of another name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {_NAMES[key]: _read(archive, info) for key, info in _members(archive)}
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InvalidDataset(f"not a readable .npz file: {error}") from error
    tensors = {n: _inputs(n, a) if n.endswith("_x") else _labels(n, a) for n, a in arrays.items()}
    return assemble(tensors, validation_share=validation_share, seed=seed)


def _members(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise InvalidDataset(f"{len(infos)} arrays are more than the {_MAX_MEMBERS} allowed")
    named = [(info.filename.removesuffix(".npy"), info) for info in infos]
    known = [(key, info) for key, info in named if key in _NAMES]
    unknown = sorted(key for key, _ in named if key not in _NAMES)
    if not known:
        raise InvalidDataset(f"no known array among {shown(unknown) or 'none'}", hint=_HINT)
    if unknown:  # `valid_x` left out would mean that validation is cut from train
        raise InvalidDataset(f"unknown arrays: {shown(unknown)}", hint=_HINT)
    targets = [_NAMES[key] for key, _ in known]
    if len(set(targets)) != len(targets):
        raise InvalidDataset("an array is there twice")
    total = sum(info.file_size for _, info in known)
    if total > MAX_BYTES:
        raise InvalidDataset(f"{total} bytes are more than the {MAX_BYTES} allowed")
    for key, info in known:
        # Small members may compress better than any bomb: a megabyte is no danger.
        if info.file_size > max(2**20, MAX_RATIO * info.compress_size):
            raise InvalidDataset(f"{key} claims to unpack to {info.file_size} bytes")
    return known


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as file:
        try:
            version = npy.read_magic(file)
            reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran_order, dtype = reader(file)
        except (ValueError, TokenError, RecursionError, MemoryError) as error:  # of literal_eval
            raise InvalidDataset(f"{info.filename} is not an array: {error}"[:500]) from error
        if len(shape) > _MAX_SIDES:
            raise InvalidDataset(f"{info.filename} has {len(shape)} sides")
        if dtype.hasobject or dtype.kind not in "uif":
            raise InvalidDataset(f"{info.filename} must hold numbers, got {dtype}")
        count = int(np.prod(shape, dtype=object)) if shape else 1
        # The header's promise is held against the container's before memory is taken.
        if min(shape, default=1) < 0 or count * dtype.itemsize > info.file_size:
            raise InvalidDataset(f"{info.filename} is shorter than its header says")
        data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise InvalidDataset(f"{info.filename} is shorter than its header says")
    flat: Array = np.frombuffer(data, dtype)
    # Fortran order is the transpose of C order over the reversed shape.
    array: Array = flat.reshape(shape[::-1]).transpose() if fortran_order else flat.reshape(shape)
    return array


def _inputs(name: str, array: Array) -> Tensor:
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    elif array.dtype != np.uint8:
        raise InvalidDataset(f"{name} must be uint8 or float32, got {array.dtype}")
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in _CHANNELS and array.shape[1] not in _CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    # A copy, because torch wants memory that it may write.
    return torch.from_numpy(np.array(array, order="C"))


def _labels(name: str, array: Array) -> Tensor:
    if array.dtype.kind not in "ui":
        raise InvalidDataset(f"{name} must be integers, got {array.dtype}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return torch.from_numpy(array.astype(np.int64))
