"""Classifiers of torchvision, `torchvision/<name>`."""

import typing
from collections.abc import Mapping
from functools import cache, partial
from inspect import unwrap
from typing import Any, Final

from torch import nn
from torchvision import models

from worker.engine.models.architecture import Architecture, Defaults, image_sides
from worker.engine.models.rates import check_rates

# By class, and not by its signature: some builders set an option themselves and take no other.
_OPTIONS: Final[Mapping[type[nn.Module], frozenset[str]]] = {
    models.AlexNet: frozenset({"dropout"}),
    models.ConvNeXt: frozenset({"stochastic_depth_prob"}),
    models.DenseNet: frozenset({"drop_rate"}),
    models.EfficientNet: frozenset({"dropout", "stochastic_depth_prob"}),
    models.GoogLeNet: frozenset({"dropout"}),
    models.Inception3: frozenset({"dropout"}),
    models.MaxVit: frozenset({"attention_dropout"}),
    models.MNASNet: frozenset({"dropout"}),
    models.MobileNetV2: frozenset({"dropout"}),
    models.MobileNetV3: frozenset({"dropout"}),
    models.SqueezeNet: frozenset({"dropout"}),
    models.SwinTransformer: frozenset({"dropout", "attention_dropout"}),
    models.VGG: frozenset({"dropout"}),
    models.VisionTransformer: frozenset({"dropout", "attention_dropout"}),
}
# Second classifiers, whose logits come beside the first's in training. They are not built.
_SECOND: Final[Mapping[type[nn.Module], tuple[str, ...]]] = {
    models.GoogLeNet: ("aux1.", "aux2."),
    models.Inception3: ("AuxLogits.",),
}
_CHANNELS: Final = 3
_HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@cache
def options_by_name() -> Mapping[str, frozenset[str]]:
    """Every classification model."""
    return {
        name: _OPTIONS.get(_class_of(name), frozenset())
        for name in models.list_models(module=models)
    }


def find(name: str) -> Architecture | None:
    """One of them."""
    if name not in options_by_name():
        return None
    return Architecture(
        partial(_build, name),
        options_by_name()[name],
        partial(_defaults, name),
        unneeded=_SECOND.get(_class_of(name), ()),
    )


def _build(name: str, classes: int, input_size: tuple[int, ...], **options: Any) -> nn.Module:
    channels, height, width = image_sides(input_size)
    if channels != _CHANNELS:
        raise ValueError(f"torchvision's models take {_CHANNELS} channels, got {channels}")
    check_rates(options, options)
    kind = _class_of(name)
    if kind is models.VisionTransformer:
        if height != width:
            raise ValueError(f"takes square images, got {height} × {width}")
        options["image_size"] = height
    elif kind is models.MaxVit:
        options["input_size"] = (height, width)
    elif kind in _SECOND:
        # With torch's own initial weights: theirs take half a minute.
        options |= {"aux_logits": False, "init_weights": False}
    module: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
    if kind is models.MNASNet:
        module.__class__ = _Mnasnet
    return module


class _Mnasnet(models.MNASNet):  # type: ignore[misc]  # torchvision has no types
    """Takes weights that do not say which version of the class wrote them: only a pickle does."""

    def _load_from_state_dict(
        self, state: Any, prefix: str, metadata: dict[str, Any], *rest: Any
    ) -> None:
        super()._load_from_state_dict(state, prefix, {"version": self._version} | metadata, *rest)


def _defaults(name: str) -> Defaults:
    """Those of its published weights; nothing is downloaded."""
    weights = models.get_model_weights(name).DEFAULT
    seen = weights.transforms()
    side = seen.crop_size[0]
    # With published weights torchvision builds these two to undo ImageNet's normalisation inside
    # (`transform_input`): what the weights see is centred on one half.
    inside = _class_of(name) in _SECOND
    normalisation = _HALF if inside else (tuple(seen.mean), tuple(seen.std))
    return Defaults((_CHANNELS, side, side), normalisation, tuple(weights.meta["categories"]))


def _class_of(name: str) -> type[nn.Module]:
    builder = unwrap(models.get_model_builder(name))
    kind: type[nn.Module] = typing.get_type_hints(builder)["return"]
    return kind
