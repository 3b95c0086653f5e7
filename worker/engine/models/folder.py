"""A model on disk: config.json, model.safetensors and README.md in one folder; never a pickle."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from worker.engine.errors import InvalidModel, NotTrainable
from worker.engine.models.config import ModelConfig
from worker.engine.models.construct import build as build  # asked for with the rest of a folder
from worker.engine.models.construct import expected_shapes as expected_shapes
from worker.engine.models.graph import ARCHITECTURE as GRAPH_ARCHITECTURE
from worker.engine.models.graph import GRAPH, load_graph
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS, load_sparse
from worker.engine.shown import listed, shown_name

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
CARD: Final = "README.md"

# Batch norm's step counter came after many public checkpoints and is not read in inference.
_COUNTER: Final = "num_batches_tracked"
_SHOWN: Final = 20
_SHOWN_SIDES: Final = 8


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode on the CPU, and what is known of it."""

    module: nn.Module
    config: ModelConfig


def save_folder(module: nn.Module, config: ModelConfig, folder: Path, card: str) -> None:
    """Write the three files, making `folder` if needed; `card` is the text of README.md."""
    check_finite(module)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format).contiguous()
        for name, tensor in module.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    _save_texts(config, folder, card)


def save_graph(content: bytes, config: ModelConfig, folder: Path, card: str) -> None:
    """The same for a runtime graph, `content` being its ONNX file."""
    assert is_graph(config), config.architecture
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH).write_bytes(content)
    _save_texts(config, folder, card)


def load_folder(folder: Path) -> LoadedModel:
    """Rebuild a saved model, its weights equal to the saved ones bit for bit.

    Without model.safetensors the weights are those of model.sparse.safetensors.
    Raises `NotTrainable` for a runtime graph, which has no weights to go on from.
    """
    config = read_config(folder)
    if is_graph(config):
        raise NotTrainable("it is a runtime graph, which can be run but not rebuilt or trained")
    module = build(config)
    dense = folder / WEIGHTS
    load_weights(module, dense if dense.exists() else folder / SPARSE_WEIGHTS)
    return LoadedModel(module.eval(), config)


def load_any(folder: Path) -> LoadedModel:
    """A saved model to be run as it is, also a runtime graph, whose module has no parameters."""
    config = read_config(folder)
    if is_graph(config):
        return LoadedModel(load_graph(folder / GRAPH), config)
    return load_folder(folder)


def read_config(folder: Path) -> ModelConfig:
    """What a folder's config.json says. Raises `InvalidModel`."""
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(f"cannot read {CONFIG}: {type(error).__name__}") from error
    return ModelConfig.from_json(text)


def is_graph(config: ModelConfig) -> bool:
    """Whether the model is a runtime graph."""
    return config.architecture == GRAPH_ARCHITECTURE


def weights_path(folder: Path) -> Path:
    """The file whose size and digest are the model's."""
    graph = folder / GRAPH
    return graph if graph.exists() else folder / WEIGHTS


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill `module` from a weights file, dense or sparse; names and shapes must all match.

    Only batch norm's step counters may be absent. Raises `InvalidModel` with what did not match,
    or where a weight is not finite; `module` is then half-filled and worthless.
    """
    try:
        tensors = load_sparse(path) if path.name == SPARSE_WEIGHTS else load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidModel(f"cannot read the weights: {error}") from error
    current = module.state_dict()
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in current.items()}
    mismatch = describe_mismatch(found, wanted)
    if mismatch:
        raise InvalidModel(f"the weights do not fit the architecture: {mismatch}")
    module.load_state_dict(current | tensors)
    check_finite(module)


def describe_mismatch(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> str:
    """What differs between two sets of named shapes, in words; empty if they fit.

    Names are sorted, since the order of those in a file differs from one reading to the next.
    """
    missing = {n: s for n, s in wanted.items() if n not in found and not n.endswith(_COUNTER)}
    unexpected = {name: shape for name, shape in found.items() if name not in wanted}
    reshaped = {n: s for n, s in found.items() if n in wanted and s != wanted[n]}
    parts = (
        ("missing", missing, lambda name: _shape(missing[name])),
        ("unexpected", unexpected, lambda name: _shape(unexpected[name])),
        ("wrong shape", reshaped, lambda n: f"is {_shape(found[n])}, expected {_shape(wanted[n])}"),
    )
    return "; ".join(f"{title}: {_some(names, said)}" for title, names, said in parts if names)


def check_finite(module: nn.Module) -> None:
    """Raise `InvalidModel` naming a tensor that holds NaN or infinity."""
    for name, tensor in module.state_dict().items():
        if not _is_finite(tensor):
            raise InvalidModel(f"{name} holds values that are not finite")


def _save_texts(config: ModelConfig, folder: Path, card: str) -> None:
    (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _some(names: Collection[str], said: Callable[[str], str]) -> str:
    first = sorted(names)[:_SHOWN]
    return listed([f"{shown_name(name)} {said(name)}" for name in first], len(names))


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{listed([str(side) for side in shape[:_SHOWN_SIDES]], len(shape))}]"
