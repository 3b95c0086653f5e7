"""The one form in which datasets are stored: a safetensors file of the six arrays."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from worker.engine.data.budget import memory_limit_bytes
from worker.engine.data.canonical_writer import KEY, part_of, write_parts
from worker.engine.data.split import VALIDATION_SHARE, Data, Split, cut
from worker.engine.errors import InvalidDataset

NO_TEST_HINT: Final = "Add a test split: results are measured on it, and on nothing else."


def save_data(data: Data, path: Path) -> None:
    """Write all arrays and, as JSON under one metadata key, class names and digest."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    parts = {name: part_of(split) for name, split in splits.items()}
    write_parts(parts, data.labels, path, lambda _split, _rows: None)


def load_data(path: Path, memory_budget_bytes: int | None = None) -> Data:
    """Read a dataset; a missing validation split is cut from train, the same one every time.

    A file above the budget (by default a quarter of the memory that this process may use) stays on
    disk, mapped: `path` must not change while the data are in use. A smaller one is copied into
    memory, images channels-last. The digest is the one that was written with the arrays, if it was.
    Raises `InvalidDataset`, also for a missing test split.
    """
    try:
        with safe_open(path, framework="pt") as file:
            # What safetensors gives are views of the mapped file: nothing has been read yet.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InvalidDataset(f"cannot read the dataset: {error}") from error
    if memory_budget_bytes is None:
        memory_budget_bytes = memory_limit_bytes() // 4
    on_disk = path.stat().st_size > memory_budget_bytes
    if not on_disk:
        tensors = {name: _copied(tensor) for name, tensor in tensors.items()}
    # A split that is cut only now was not there when the digest was computed.
    whole = "validation_x" in tensors
    data = assemble(tensors, _labels(metadata), digest=_digest(metadata) if whole else None)
    return _mapped(data) if on_disk and whole else data


def assemble(
    tensors: dict[str, Tensor],
    labels: tuple[str, ...] | None = None,
    validation_share: float = VALIDATION_SHARE,
    seed: int = 0,
    digest: str | None = None,
) -> Data:
    """A dataset of arrays named {train,validation,test}_{x,y}; validation is cut if absent."""
    train, test = _split(tensors, "train"), _split(tensors, "test")
    if train is None:
        raise InvalidDataset("there is no training split")
    if test is None:
        raise InvalidDataset("there is no test split", hint=NO_TEST_HINT)
    validation = _split(tensors, "validation")
    if validation is None:
        train, validation = cut(train, validation_share, seed)
    return Data.of(train, validation, test, labels, digest)


def _copied(tensor: Tensor) -> Tensor:
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.clone(memory_format=layout)


def _mapped(data: Data) -> Data:
    parts = {
        name: replace(getattr(data, name), on_disk=True) for name in ("train", "validation", "test")
    }
    return replace(data, **parts)


def _split(tensors: dict[str, Tensor], name: str) -> Split | None:
    x, y = tensors.get(f"{name}_x"), tensors.get(f"{name}_y")
    if x is None and y is None:
        return None
    if x is None or y is None:
        raise InvalidDataset(f"{name} needs both inputs and labels")
    if y.ndim != 1 or x.ndim < 1 or len(x) != len(y):
        raise InvalidDataset(f"{name} has inputs {list(x.shape)} and labels {list(y.shape)}")
    if len(x) == 0:
        raise InvalidDataset(f"{name} has no examples")
    return Split(x, y)


def _digest(metadata: Any) -> str | None:
    digest = metadata.get("digest") if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) else None


def _labels(metadata: Any) -> tuple[str, ...] | None:
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if labels is None:
        return None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InvalidDataset("labels must be a list of names")
    return tuple(labels)
