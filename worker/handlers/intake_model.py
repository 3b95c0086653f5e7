"""The check of an uploaded model: read, put in order, run, and written anew."""

from pathlib import Path
from typing import Final, assert_never

import torch
from torch import Tensor, nn

from service.contract.normalisation import Normalisation
from service.reports.card import uploaded_card
from worker.engine.errors import InvalidModel, memory_errors
from worker.engine.intake.fit import fit
from worker.engine.intake.folder_zip import FoundGraph, read_folder_zip
from worker.engine.intake.graph_check import check_graph
from worker.engine.intake.onnx_file import read_onnx
from worker.engine.intake.safetensors_file import read_safetensors
from worker.engine.intake.settle import config_of
from worker.engine.intake.torch_file import read_torch
from worker.engine.intake.upload import Described, Upload
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import (
    LoadedModel,
    is_graph,
    load_any,
    save_folder,
    save_graph,
)
from worker.engine.seeds import generator
from worker.order import CheckedModel, ModelCheckOrder

_MODEL: Final = "model"
_UPLOADED: Final = {
    "safetensors": "a safetensors file",
    "torch": "a PyTorch state dict",
    "huggingface": "a model folder",
    "onnx": "an ONNX file",
}


def check_model(order: ModelCheckOrder, folder: Path) -> CheckedModel:
    """What it is, and a folder of its own. Raises an EngineError that says what is wrong."""
    found = _read(order, folder)
    with memory_errors():
        if isinstance(found, FoundGraph):
            return _check_graph(order, found, folder)
        return _check_weights(order, found, folder)


def _read(order: ModelCheckOrder, folder: Path) -> Upload | FoundGraph:
    path = folder / order.source
    match order.format:
        case "safetensors":
            return read_safetensors(path)
        case "torch":
            return read_torch(path)
        case "huggingface":
            return read_folder_zip(path, folder)
        case "onnx":
            return FoundGraph(path, Described())
        case _:
            assert_never(order.format)


def _check_weights(order: ModelCheckOrder, upload: Upload, folder: Path) -> CheckedModel:
    config = config_of(_asked(order), upload.described, upload.tensors)
    module, notes = fit(config, upload.tensors)
    save_folder(module, config, folder / _MODEL, _card(order, config))
    draw = generator(0, "intake inputs")
    inputs = torch.randn(2, *config.input_size, generator=draw)
    before = _answer(module, inputs)
    del module  # memory holds one model beside the upload
    reloaded = load_any(folder / _MODEL)
    after = _answer(reloaded.module, inputs)
    if not bool(torch.isfinite(after).all()):
        raise InvalidModel("its output for noise is not finite")
    if not torch.equal(before, after):
        raise InvalidModel("it answers differently once saved and loaded again")
    return _checked(reloaded, (*upload.notes, *notes))


@torch.inference_mode()
def _answer(module: nn.Module, inputs: Tensor) -> Tensor:
    logits: Tensor = module(inputs)
    return logits


def _check_graph(order: ModelCheckOrder, found: FoundGraph, folder: Path) -> CheckedModel:
    try:
        graph = read_onnx(found.path)
        content, config, notes = check_graph(graph, _asked(order), found.described)
    except UnicodeDecodeError as error:  # protobuf decodes a text when it is looked at
        raise InvalidModel("a text in the graph is not UTF-8") from error
    save_graph(content, config, folder / _MODEL, _card(order, config))
    return _checked(load_any(folder / _MODEL), notes)


def _asked(order: ModelCheckOrder) -> Described:
    normalisation = order.normalisation
    return Described(
        architecture=order.architecture,
        options=order.options,
        classes=order.classes,
        input_size=order.input_size,
        mean=None if normalisation is None else normalisation.mean,
        std=None if normalisation is None else normalisation.std,
        labels=order.labels,
    )


def _card(order: ModelCheckOrder, config: ModelConfig) -> str:
    return uploaded_card(
        name=order.name,
        what=_UPLOADED[order.format],
        architecture=config.architecture,
        input_size=config.input_size,
    )


def _checked(loaded: LoadedModel, notes: tuple[str, ...]) -> CheckedModel:
    config = loaded.config
    return CheckedModel(
        folder=_MODEL,
        form="graph" if is_graph(config) else "weights",
        architecture=config.architecture,
        options=dict(config.options),
        classes=config.classes,
        input_size=config.input_size,
        normalisation=Normalisation(mean=config.mean, std=config.std),
        labels=config.labels,
        notes=notes,
        parameters=parameters(loaded.module),
        macs=macs(loaded.module, config.input_size),
    )
