"""config.json: everything about a model except its weights."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from worker.engine.errors import InvalidModel

FORMAT: Final = "modelpress/1"


@dataclass(frozen=True)
class ModelConfig:
    """How to rebuild a model, what its input is, and what was done to it.

    `input_size` is one input without the batch. `mean` and `std` hold one value per channel;
    uint8 inputs are divided by 255 first. `labels` name the classes by index. `compression` is
    what compression did, oldest first; `extra` holds plain JSON that the engine never reads.
    """

    architecture: str
    classes: int
    input_size: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    compression: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self.classes >= 1, f"classes must be at least 1, got {self.classes}")
        _require(
            len(self.input_size) >= 1 and all(side >= 1 for side in self.input_size),
            f"input_size must be positive sizes, got {self.input_size}",
        )
        channels = self.input_size[0]
        _require(
            len(self.mean) == len(self.std) == channels,
            f"mean and std need {channels} values each, got {len(self.mean)} and {len(self.std)}",
        )
        _require(all(math.isfinite(value) for value in self.mean), "mean must be finite")
        _require(all(math.isfinite(value) and value > 0 for value in self.std), "std must be > 0")
        _require(
            self.labels is None or len(self.labels) == self.classes,
            f"labels must name all {self.classes} classes",
        )

    def to_json(self) -> str:
        """Indented JSON with a trailing newline."""
        document = {"format": FORMAT, **asdict(self)}
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read strictly: an unknown, missing or mistyped key is an `InvalidModel`."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise InvalidModel(f"config.json is not JSON: {error}") from error
        _require(isinstance(document, dict), "config.json must hold an object")
        _require(document.pop("format", None) == FORMAT, f"config.json format must be {FORMAT}")
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(document) - known)
        _require(not unknown, f"config.json has unknown keys: {', '.join(unknown)}")
        try:
            return cls(**_typed(document))
        except (TypeError, KeyError) as error:
            raise InvalidModel(f"config.json is incomplete or mistyped: {error}") from error


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidModel(message)


def _typed(document: dict[str, Any]) -> dict[str, Any]:
    _require(isinstance(document["architecture"], str), "architecture must be a string")
    _require(_is_int(document["classes"]), "classes must be an integer")
    _require(all(_is_int(side) for side in document["input_size"]), "input_size must be integers")
    typed = dict(document)
    typed["input_size"] = tuple(document["input_size"])
    typed["mean"] = tuple(_floats(document["mean"]))
    typed["std"] = tuple(_floats(document["std"]))
    labels = document.get("labels")
    if labels is not None:
        strings = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        _require(strings, "labels must be a list of strings")
        typed["labels"] = tuple(labels)
    typed["compression"] = tuple(document.get("compression", ()))
    for name in ("options", "extra"):
        _require(isinstance(document.get(name, {}), dict), f"{name} must be an object")
    _require(
        all(isinstance(step, dict) for step in typed["compression"]),
        "compression must be a list of objects",
    )
    return typed


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _floats(values: list[Any]) -> list[float]:
    _require(
        isinstance(values, list) and all(_is_int(v) or isinstance(v, float) for v in values),
        "mean and std must be lists of numbers",
    )
    try:
        return [float(value) for value in values]
    except OverflowError as error:  # a whole number of JSON may have thousands of digits
        raise InvalidModel("mean and std hold a number that is out of range") from error
