"""Classifiers of timm, `timm/<name>`."""

import inspect
import sys
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Final

import timm
from timm.data.imagenet_info import ImageNetInfo
from torch import nn

from worker.engine.models.architecture import Architecture, Defaults, image_sides
from worker.engine.models.rates import check_rates

_RATES: Final = frozenset({"drop_rate", "drop_path_rate", "attn_drop_rate", "proj_drop_rate"})
_OPTIONS: Final = _RATES | {"global_pool", "class_token", "init_values"}


@cache
def options_by_name() -> Mapping[str, frozenset[str]]:
    """Models that end in a classifier, as timm says and as the names of encoders do."""
    return {
        name: _options(name)
        for name in timm.list_models(exclude_filters="*_enc")
        if _config(name).classifier
    }


def find(name: str) -> Architecture | None:
    """A name is looked up, never interpreted: timm reads some as a place to load from."""
    if name not in options_by_name():
        return None
    return Architecture(
        partial(_build, name), options_by_name()[name], partial(_defaults, _config(name))
    )


def _build(name: str, classes: int, input_size: tuple[int, ...], **options: Any) -> nn.Module:
    channels, height, width = image_sides(input_size)
    check_rates(options, _RATES)
    if _config(name).fixed_input_size:
        options["img_size"] = (height, width)
    module: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=classes, in_chans=channels, **options
    )
    return module


def _defaults(config: Any) -> Defaults:
    names: Any = ImageNetInfo()
    labels = None
    if config.num_classes == names.num_classes():
        labels = tuple(names.index_to_description(index) for index in range(config.num_classes))
    return Defaults(tuple(config.input_size), (tuple(config.mean), tuple(config.std)), labels)


@cache
def _config(name: str) -> Any:
    return timm.models.get_pretrained_cfg(name)


def _options(name: str) -> frozenset[str]:
    entry = timm.models.model_entrypoint(name)
    return _options_of_module(entry.__module__)


@cache
def _options_of_module(name: str) -> frozenset[str]:
    """What the classifiers of a module take; one that defines none uses those of another."""
    classes = [
        value
        for value in vars(sys.modules[name]).values()
        if inspect.isclass(value)
        and issubclass(value, nn.Module)
        and "num_classes" in inspect.signature(value).parameters
    ]
    own = [each for each in classes if each.__module__ == name]
    taken = {each for one in own or classes for each in inspect.signature(one).parameters}
    return _OPTIONS & taken
