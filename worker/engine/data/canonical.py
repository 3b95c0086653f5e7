"""The one form in which datasets are stored: a safetensors file of the six arrays."""

import json
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from torch import Tensor

from worker.engine.data.canonical_writer import KEY, part_of, write_parts
from worker.engine.data.split import VALIDATION_SHARE, Data, Split, cut
from worker.engine.errors import InvalidDataset

NO_TEST_HINT: Final = "Add a test split: results are measured on it, and on nothing else."


def save_data(data: Data, path: Path) -> None:
    """Write all arrays and, as JSON under one metadata key, class names and digest."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    parts = {name: part_of(split) for name, split in splits.items()}
    write_parts(parts, data.labels, path, lambda _split, _rows: None)


def load_data(path: Path) -> Data:
    """Read a dataset; a missing validation split is cut from train, the same one every time.

    Raises `InvalidDataset`, also for a missing test split.
    """
    try:
        with safe_open(path, framework="pt") as file:
            # Each tensor is copied out of the map: the file may go away afterwards.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InvalidDataset(f"cannot read the dataset: {error}") from error
    return assemble(tensors, _labels(metadata))


def assemble(
    tensors: dict[str, Tensor],
    labels: tuple[str, ...] | None = None,
    validation_share: float = VALIDATION_SHARE,
    seed: int = 0,
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
    return Data.of(train, validation, test, labels)


def _split(tensors: dict[str, Tensor], name: str) -> Split | None:
    x, y = tensors.get(f"{name}_x"), tensors.get(f"{name}_y")
    if x is None and y is None:
        return None
    if x is None or y is None:
        raise InvalidDataset(f"{name} needs both inputs and labels")
    if y.ndim != 1 or x.ndim < 1 or len(x) != len(y):
        raise InvalidDataset(f"{name} has inputs {list(x.shape)} and labels {list(y.shape)}")
    return Split(x, y)


def _labels(metadata: Any) -> tuple[str, ...] | None:
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if labels is None:
        return None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InvalidDataset("labels must be a list of names")
    return tuple(labels)
