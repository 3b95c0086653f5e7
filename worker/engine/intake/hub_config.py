"""config.json and preprocessor_config.json as transformers and timm write them.

Of a config only fields on the architecture's list of options are taken; nothing in it chooses
what code runs.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from worker.engine.errors import InvalidModel
from worker.engine.intake.upload import Described
from worker.engine.models import registry
from worker.engine.shown import shown

_SAID_ELSEWHERE: Final = ("num_classes", "in_chans", "img_size", "pretrained")
_HEAD: Final = "ForImageClassification"
_MAX_LABEL: Final = 128
_MAX_LABELS: Final = 100_000
_MAX_LABELS_TEXT: Final = 2_000_000  # 21,843 names of classes take about 1 MB
_MAX_SIDE: Final = 8192
_RESCALE: Final = 1 / 255


def described_by_hub(config: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> Described:
    """What the two files say. Raises `InvalidModel` if they are of no image classifier."""
    if isinstance(config.get("model_type"), str) and config["model_type"] != "timm_wrapper":
        return _by_transformers(config, preprocessor)
    if isinstance(config.get("architecture"), str):
        return _by_timm(config)
    raise InvalidModel(
        "config.json names neither a model_type (transformers) nor an architecture (timm)"
    )


def _by_timm(config: Mapping[str, Any]) -> Described:
    trained = config.get("pretrained_cfg")
    trained = trained if isinstance(trained, Mapping) else {}
    return Described(
        architecture=f"timm/{config['architecture']}",
        options=_arguments(f"timm/{config['architecture']}", config.get("model_args")),
        classes=_count(config.get("num_classes")),
        input_size=_sizes(trained.get("input_size")),
        mean=_numbers(trained.get("mean"), "mean"),
        std=_numbers(trained.get("std"), "std"),
        labels=class_names(config.get("label_names")),
    )


def _by_transformers(config: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> Described:
    heads = config.get("architectures") or []
    if not isinstance(heads, list) or not all(str(head).endswith(_HEAD) for head in heads):
        raise InvalidModel(
            f"config.json is of {str(heads)[:120]}, not of a model {_HEAD}",
            "Save a classifier: AutoModelForImageClassification, then save_pretrained.",
        )
    name = f"transformers/{config['model_type']}"
    by_index = config.get("id2label")
    labels = class_names(_in_order(by_index)) if by_index is not None else None
    classes = len(labels) if labels else _count(config.get("num_labels"))
    generic = labels is not None and labels == tuple(f"LABEL_{i}" for i in range(len(labels)))
    mean, std = _normalisation(preprocessor, _channels(config))
    return Described(
        architecture=name,
        options=_options(name, config),
        classes=classes,
        input_size=_input_size(config, preprocessor),
        mean=mean,
        std=std,
        labels=None if generic else labels,
    )


def _options(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the architecture takes of it; a field that is null says nothing."""
    known = registry.find(name).options
    return {key: value for key, value in said.items() if key in known and value is not None}


def _arguments(name: str, said: object) -> dict[str, Any]:
    """Arguments a timm model was made with; one that is not taken may change what it computes."""
    said = said if isinstance(said, Mapping) else {}
    taken = _options(name, said)
    foreign = sorted(str(key) for key in said if key not in taken and key not in _SAID_ELSEWHERE)
    if foreign:
        raise InvalidModel(f"{name} was made with arguments that are not taken: {shown(foreign)}")
    return {key: value for key, value in taken.items() if key not in _SAID_ELSEWHERE}


def _input_size(config: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> Any:
    crop = preprocessor.get("crop_size") if preprocessor.get("do_center_crop") else None
    for said in (config.get("image_size"), crop, preprocessor.get("size")):
        sides = _sides(said)
        if sides is not None:
            return _sizes([_channels(config), *sides])
    return None


def _channels(config: Mapping[str, Any]) -> int:
    return _count(config.get("num_channels")) or 3


def _sides(said: object) -> tuple[object, object] | None:
    match said:
        case int():
            return said, said
        case [height, width] | {"height": height, "width": width}:
            return height, width
        case {"shortest_edge": side}:
            return side, side
        case _:
            return None


def _normalisation(
    preprocessor: Mapping[str, Any], channels: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """In terms of pixels ÷ 255, whatever factor the preprocessor multiplies them by."""
    if not preprocessor:
        return None, None
    mean = _numbers(preprocessor.get("image_mean"), "image_mean")
    std = _numbers(preprocessor.get("image_std"), "image_std")
    if preprocessor.get("do_normalize") is False:
        mean, std = (0.0,) * channels, (1.0,) * channels
    factor = preprocessor.get("rescale_factor", _RESCALE)
    if preprocessor.get("do_rescale") is False:
        factor = 1.0
    if type(factor) not in (int, float) or not 0 < factor < math.inf:
        raise InvalidModel("rescale_factor must be a positive number")
    factor = _float(factor, "rescale_factor")
    if mean is None or std is None or math.isclose(factor, _RESCALE):
        return mean, std
    scale = 255 * factor
    return tuple(value / scale for value in mean), tuple(value / scale for value in std)


def _in_order(by_index: object) -> list[object]:
    if not isinstance(by_index, Mapping) or set(by_index) != {str(i) for i in range(len(by_index))}:
        raise InvalidModel("id2label must name every class from 0")
    return [by_index[str(i)] for i in range(len(by_index))]


def class_names(said: object) -> tuple[str, ...] | None:
    """As they can be shown. None where nothing is said; raises `InvalidModel`."""
    if said is None:
        return None
    if not isinstance(said, list) or not all(isinstance(name, str) and name for name in said):
        raise InvalidModel("the names of the classes must be a list of texts")
    if len(said) > _MAX_LABELS:
        raise InvalidModel(f"{len(said)} names of classes are more than the {_MAX_LABELS} allowed")
    names = tuple("".join(filter(str.isprintable, name))[:_MAX_LABEL] for name in said)
    if (size := sum(len(name.encode()) for name in names)) > _MAX_LABELS_TEXT:
        raise InvalidModel(
            f"the names of the classes have {size} bytes, {_MAX_LABELS_TEXT} are taken",
            "Shorten them, or leave them out.",
        )
    return names or None


def _count(said: object) -> int | None:
    if said is None:
        return None
    if not isinstance(said, int) or isinstance(said, bool) or said < 1:
        raise InvalidModel("config.json has a count that is not a positive whole number")
    return said


def _sizes(said: object) -> tuple[int, ...] | None:
    if said is None:
        return None
    sides = [_count(side) for side in said] if isinstance(said, list) else [None]
    if len(sides) != 3 or not all(side and side <= _MAX_SIDE for side in sides):
        raise InvalidModel("the input size must be three sides: channels, height, width")
    return tuple(side for side in sides if side)


def _numbers(said: object, name: str) -> tuple[float, ...] | None:
    if said is None:
        return None
    if not isinstance(said, list) or not all(type(n) in (int, float) for n in said):
        raise InvalidModel(f"{name} must be a list of numbers")
    return tuple(_float(number, name) for number in said)


def _float(said: float, name: str) -> float:
    try:
        return float(said)
    except OverflowError as error:  # a whole number of JSON may have thousands of digits
        raise InvalidModel(f"{name} holds a number that is out of range") from error
