"""A weights file that does not store zeros: the values that are left, and one bit for each weight.

A tensor that gains nothing by it is stored as it is. `NAME` becomes `NAME.values` and `NAME.mask`
(bits packed, the first in the highest bit); its shape is in the metadata.
"""

import json
import math
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from worker.engine.errors import InvalidModel

SPARSE_WEIGHTS: Final = "model.sparse.safetensors"
_KEY: Final = "sparse"


def save_sparse(tensors: dict[str, Tensor], path: Path) -> bool:
    """Write `tensors` (on the CPU). False, and no file, if no tensor would become smaller."""
    packed: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        flat = tensor.contiguous().reshape(-1)
        if tensor.ndim < 2 or not len(flat):
            packed[name] = tensor.contiguous()
            continue
        # Compared as bits: a negative zero is a value to keep.
        nonzero = (flat.view(torch.uint8) != 0).reshape(len(flat), -1).any(1)
        if int(nonzero.sum()) * flat.element_size() + -(-len(flat) // 8) >= flat.nbytes:
            packed[name] = tensor.contiguous()
            continue
        shapes[name] = list(tensor.shape)
        packed[f"{name}.values"] = flat[nonzero]
        packed[f"{name}.mask"] = torch.from_numpy(np.packbits(nonzero.numpy()))
    if not shapes:
        return False
    save_file(packed, path, metadata={"format": "pt", _KEY: json.dumps(shapes)})
    return True


def load_sparse(path: Path) -> dict[str, Tensor]:
    """The tensors as they were, bit for bit. Raises `InvalidModel`."""
    try:
        with safe_open(path, framework="pt") as file:
            packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            shapes = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            for name, shape in shapes.items():
                values, mask = packed.pop(f"{name}.values"), packed.pop(f"{name}.mask")
                packed[name] = _unpacked(values, mask, tuple(int(side) for side in shape))
    except InvalidModel:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidModel(f"cannot read the sparse weights: {error}") from error
    return packed


def _unpacked(values: Tensor, mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    count = math.prod(shape)
    # Every weight has a bit in the file: a shape cannot ask for more memory than 32 times its size.
    if mask.dtype != torch.uint8 or min(shape, default=0) < 0 or count > 8 * mask.numel():
        raise InvalidModel("the mask of a sparse tensor does not fit its shape")
    stays = torch.from_numpy(np.unpackbits(mask.numpy(), count=count)).bool()
    if int(stays.sum()) != values.numel():
        raise InvalidModel("a sparse tensor has not as many values as its mask says")
    whole = torch.zeros(count, dtype=values.dtype)
    whole[stays] = values
    return whole.reshape(shape)
