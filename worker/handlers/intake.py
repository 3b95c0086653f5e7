"""Checks of uploads: what was read is written anew, so that no uploaded byte goes further."""

from pathlib import Path
from typing import assert_never

import torch

from service.contract.datasets import DatasetFindings
from service.contract.normalisation import Normalisation
from worker.engine.data.canonical import save_data
from worker.engine.data.image_folder import read_image_zip
from worker.engine.data.npz import read_npz
from worker.engine.data.split import Data, channel_stats
from worker.engine.errors import InvalidDataset, InvalidModel
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, load_weights, save_folder
from worker.order import (
    CheckedDataset,
    CheckedModel,
    CheckProduct,
    DatasetCheckOrder,
    ModelCheckOrder,
)


def check(order: ModelCheckOrder | DatasetCheckOrder, folder: Path) -> CheckProduct:
    """Raises an EngineError that says what is wrong with the upload."""
    match order.kind:
        case "model":
            return CheckProduct(checked=_model(order, folder))
        case "dataset":
            return CheckProduct(checked=_dataset(order, folder))
        case _:
            assert_never(order)


def _model(order: ModelCheckOrder, folder: Path) -> CheckedModel:
    normalisation = order.normalisation
    assert order.architecture is not None
    assert order.classes is not None
    assert order.input_size is not None
    assert normalisation is not None
    config = ModelConfig(
        architecture=order.architecture,
        options=order.options,
        classes=order.classes,
        input_size=order.input_size,
        mean=normalisation.mean,
        std=normalisation.std,
        labels=order.labels,
    )
    module = build(config).eval()
    load_weights(module, folder / order.source)
    card = f"# {order.name}\n\nUploaded weights of `{order.architecture}`.\n"
    save_folder(module, config, folder / "model", card)
    reloaded = load_folder(folder / "model")
    with torch.inference_mode():
        logits = reloaded.module(torch.zeros(1, *config.input_size))
    if not bool(torch.isfinite(logits).all()):
        raise InvalidModel("the output for an input of zeros is not finite")
    return CheckedModel(
        folder="model",
        form="weights",
        architecture=config.architecture,
        options=order.options,
        classes=config.classes,
        input_size=config.input_size,
        normalisation=normalisation,
        labels=config.labels,
        notes=(),
        parameters=parameters(reloaded.module),
        macs=macs(reloaded.module, config.input_size),
    )


def _dataset(order: DatasetCheckOrder, folder: Path) -> CheckedDataset:
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
