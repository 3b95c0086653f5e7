"""What is sent: a file, and what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

Kind = Literal["model", "dataset"]


@dataclass(frozen=True)
class Case:
    """A file and its registration. `may_pass`: a file that is merely odd may be taken, too."""

    name: str
    kind: Kind
    data: bytes
    said: Mapping[str, Any] = field(default_factory=dict)
    may_pass: bool = False

    def altered(self, how: str, data: bytes) -> Self:
        """The same registration of other bytes, which may happen to be a good file still."""
        return replace(self, name=f"{self.name}: {how}", data=data, may_pass=True)


def model(name: str, data: bytes, *, may_pass: bool = False, **said: Any) -> Case:
    """A model of the small MLP of `seeds`, unless something else is said."""
    return Case(name, "model", data, {**MLP, **said}, may_pass)


def graph(name: str, data: bytes, *, may_pass: bool = False) -> Case:
    """A model that says what it is itself: ONNX, or a folder as zip."""
    return Case(name, "model", data, {}, may_pass)


def dataset(format_: str, name: str, data: bytes, *, may_pass: bool = False) -> Case:
    """A dataset in one of the formats."""
    return Case(name, "dataset", data, {"format": format_}, may_pass)


MLP: Mapping[str, Any] = {
    "architecture": "mlp",
    "options": {"hidden": [8]},
    "classes": 3,
    "input_size": [1, 4, 4],
}
