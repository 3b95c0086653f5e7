"""The check of an uploaded dataset."""

from pathlib import Path
from typing import assert_never

from service.contract.datasets import DatasetFindings
from service.contract.normalisation import Normalisation
from worker.engine.data.canonical import save_data
from worker.engine.data.image_folder import read_image_zip
from worker.engine.data.npz import read_npz
from worker.engine.data.split import Data, channel_stats
from worker.engine.errors import InvalidDataset
from worker.order import CheckedDataset, DatasetCheckOrder


def check_dataset(order: DatasetCheckOrder, folder: Path) -> CheckedDataset:
    """What it holds, and the same in canonical form."""
    data = _read(order, folder / order.source)
    save_data(data, folder / "data.safetensors")
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    mean, std = channel_stats(data.train)
    return CheckedDataset(
        path="data.safetensors",
        classes=data.classes,
        input_size=data.input_size,
        labels=data.labels,
        splits={name: len(split) for name, split in splits.items()},
        class_counts={
            name: tuple(split.y.bincount(minlength=data.classes).tolist())
            for name, split in splits.items()
        },
        normalisation=Normalisation(mean=mean, std=std),
        findings=DatasetFindings(),
        contact_sheet=None,
        digest=data.digest,
    )


def _read(order: DatasetCheckOrder, source: Path) -> Data:
    match order.format:
        case "npz":
            return read_npz(source, order.validation_share, order.seed)
        case "image_zip":
            side = order.image_size
            size = None if side is None else (side, side)
            return read_image_zip(source, order.validation_share, order.seed, size)
        case "parquet" | "csv_zip":
            raise InvalidDataset(f"{order.format} is not read yet")
        case _:
            assert_never(order.format)
