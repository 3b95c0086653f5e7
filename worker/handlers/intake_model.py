"""The check of an uploaded model."""

from pathlib import Path

import torch

from worker.engine.errors import InvalidModel
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, load_weights, save_folder
from worker.order import CheckedModel, ModelCheckOrder


def check_model(order: ModelCheckOrder, folder: Path) -> CheckedModel:
    """What it is, and a folder of its own, written anew."""
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
