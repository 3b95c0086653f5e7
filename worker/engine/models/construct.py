"""From a configuration to a module with fresh weights."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from worker.engine.errors import EngineError, InvalidModel
from worker.engine.models import registry
from worker.engine.models.config import ModelConfig
from worker.engine.prune.cuts import apply_cuts, cuts_of

_MOST_PARAMETERS: Final = 2_000_000_000  # 8 GB of weights, and three times that to train
_SHOWN_CHARACTERS: Final = 300


def build(config: ModelConfig) -> nn.Module:
    """The architecture with fresh weights from torch's global generator, in training mode.

    Channels that `config.compression` says were cut are cut again.

    Raises `InvalidModel` for an unknown architecture or option, an input that it cannot take, or
    more parameters than two billion; nothing was allocated then.
    """
    expected_shapes(config)
    return _construct(config)


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of the model's state, found without allocating any of them."""
    return dict(_shapes(replace(config, labels=None, extra={}).to_json()))


@lru_cache(maxsize=8)  # one upload asks four times, and some models think for seconds
def _shapes(config_json: str) -> Mapping[str, tuple[int, ...]]:
    with torch.device("meta"):
        module = _attempt(ModelConfig.from_json(config_json))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _attempt(config: ModelConfig) -> nn.Module:
    try:
        module = _on_meta(config).eval()
    except EngineError:
        raise
    except Exception as error:  # libraries raise anything for an option that they cannot serve
        raise InvalidModel(f"{config.architecture}: {_said(error)}") from error
    parameters = sum(parameter.numel() for parameter in module.parameters())
    if parameters > _MOST_PARAMETERS:
        raise InvalidModel(
            f"{config.architecture} would have {parameters:,} parameters, "
            f"at most {_MOST_PARAMETERS:,} are built"
        )
    with torch.no_grad():
        try:
            logits = module(torch.empty(1, *config.input_size))
        except Exception as error:
            raise InvalidModel(
                f"{config.architecture} cannot take inputs of {list(config.input_size)}: "
                f"{_said(error)}"
            ) from error
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (1, config.classes):
        raise InvalidModel(f"{config.architecture} does not give one logit per class")
    return module


def _on_meta(config: ModelConfig) -> nn.Module:
    try:
        return _construct(config)
    except NotImplementedError:  # the meta device has no data to read widths or rates from
        with _ScheduleOnCpu():
            return _construct(config).to("meta")


class _ScheduleOnCpu(TorchFunctionMode):
    """Small tensors that a model's plan is computed with are real, its weights are not."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.arange, torch.linspace):
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


def _construct(config: ModelConfig) -> nn.Module:
    architecture = registry.find(config.architecture)
    foreign = sorted(set(config.options) - architecture.options)
    if foreign:
        raise InvalidModel(f"{config.architecture} takes no option {', '.join(foreign)}")
    module = architecture.build(config.classes, config.input_size, **config.options)
    for cuts in cuts_of(config.compression):
        apply_cuts(module, cuts)
    return module


def _said(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text[:_SHOWN_CHARACTERS] or type(error).__name__
