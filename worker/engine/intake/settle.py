"""Who says what: the request, else the file, else the architecture's defaults."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from torch import Tensor

from worker.engine.errors import InvalidModel
from worker.engine.intake.names import without_prefix
from worker.engine.intake.upload import Described
from worker.engine.models import registry
from worker.engine.models.architecture import Normalisation
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import expected_shapes

# Two counts of classes that no layer has by chance; what differs between them is the classifier.
_TRIAL_CLASSES: Final = (13, 17)


def config_of(asked: Described, said: Described, tensors: Mapping[str, Tensor]) -> ModelConfig:
    """The whole configuration. Classes that nobody names are counted on the classifier's weights.

    Raises `InvalidModel` for what is missing, contradictory or unknown.
    """
    known = asked.over(said)
    if known.architecture is None:
        raise InvalidModel(
            "nobody says which architecture the weights belong to",
            "Name one: GET /v1/capabilities lists them.",
        )
    defaults = registry.find(known.architecture).defaults()
    input_size = known.input_size or defaults.input_size
    mean, std = normalisation(known, defaults.normalisation, input_size[0])
    config = ModelConfig(
        architecture=known.architecture,
        options=known.options,
        classes=known.classes or len(known.labels or ()) or _TRIAL_CLASSES[0],
        input_size=input_size,
        mean=mean,
        std=std,
        compression=known.compression,
        extra=known.extra,
    )
    if known.classes is None and known.labels is None:
        config = replace(config, classes=_counted_classes(config, tensors))
    labels = known.labels
    if labels is None:
        by_default = defaults.labels
        fits = by_default is not None and len(by_default) == config.classes
        labels = by_default if fits else None
    return replace(config, labels=labels)


def normalisation(known: Described, default: Normalisation | None, channels: int) -> Normalisation:
    """Mean and deviation; without any, and for other channels than the default's, 0 and 1."""
    if known.mean is not None and known.std is not None:
        return known.mean, known.std
    if default is not None and len(default[0]) == channels:
        return default
    return (0.0,) * channels, (1.0,) * channels


def _counted_classes(config: ModelConfig, tensors: Mapping[str, Tensor]) -> int:
    """The classifier is what has another shape for another number of classes."""
    one, other = (
        expected_shapes(replace(config, classes=classes, labels=None)) for classes in _TRIAL_CLASSES
    )
    renamed, _ = without_prefix(tensors, one)
    for name, shape in one.items():
        for axis, (here, there) in enumerate(zip(shape, other[name], strict=True)):
            found = renamed.get(name)
            if (here, there) == _TRIAL_CLASSES and found is not None and found.ndim == len(shape):
                return int(found.shape[axis])
    raise InvalidModel("the number of classes is unknown", "Say `classes` in the request.")
