"""What ships with Modelpress, as far as a torch-free process needs to know it.

The engine's registries are the truth; a test holds these tables against them.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Final, Literal, get_args

from annotated_types import Len
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from service.contract.base import Contract, InputSize, ModelRef

BuiltinArchitecture = Literal[
    "cnn_teacher",
    "cnn_student",
    "cnn_simple",
    "cifar_resnet8",
    "cifar_resnet14",
    "cifar_resnet20",
    "cifar_resnet32",
    "cifar_resnet44",
    "cifar_resnet56",
    "cifar_resnet110",
    "mlp",
]
ARCHITECTURES: Final[tuple[str, ...]] = get_args(BuiltinArchitecture)


FAMILIES: Final = ("timm", "torchvision", "transformers")
"""Libraries whose classifiers are named `family/name`. Operators' packages add more of the same
form; which there are, the workers alive say."""

OptionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_Text = Annotated[str, StringConstraints(max_length=256)]
OptionValue = bool | int | float | _Text | Annotated[tuple[int | float | _Text, ...], Len(0, 64)]
Options = Annotated[dict[OptionName, OptionValue], Len(0, 64)]


class MlpOptions(Contract):
    """Options of `mlp`."""

    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] | None = Field(
        None, min_length=1, max_length=16, description="Widths of the hidden layers."
    )
    dropout: float | None = Field(None, ge=0, lt=1, description="Dropout probability.")


_OPTIONS: Final[dict[str, type[Contract]]] = {"mlp": MlpOptions}

OPTIONS_OF: Final[dict[str, frozenset[str]]] = {
    name: frozenset(_OPTIONS[name].model_fields if name in _OPTIONS else ())
    for name in ARCHITECTURES
}


class Size(Contract):
    """What a built-in architecture takes with its default options, 10 classes and 3×32×32."""

    parameters: int = Field(description="Number of parameters.")
    macs: int = Field(description="Multiply–accumulates of one input.")
    features: int = Field(description="Inputs of the layer that gives the classes.")

    def of_classes(self, classes: int) -> "Size":
        """The same with another number of classes."""
        more = classes - 10
        return Size(
            parameters=self.parameters + more * (self.features + 1),
            macs=self.macs + more * self.features,
            features=self.features,
        )


SIZES_OF: Final[dict[str, Size]] = {
    "cnn_teacher": Size(parameters=1_412_682, macs=153_029_120, features=256),
    "cnn_student": Size(parameters=148_330, macs=29_205_120, features=64),
    "cnn_simple": Size(parameters=102_154, macs=38_642_304, features=64),
    "cifar_resnet8": Size(parameters=75_290, macs=12_239_488, features=64),
    "cifar_resnet14": Size(parameters=172_506, macs=26_395_264, features=64),
    "cifar_resnet20": Size(parameters=269_722, macs=40_551_040, features=64),
    "cifar_resnet32": Size(parameters=464_154, macs=68_862_592, features=64),
    "cifar_resnet44": Size(parameters=658_586, macs=97_174_144, features=64),
    "cifar_resnet56": Size(parameters=853_018, macs=125_485_696, features=64),
    "cifar_resnet110": Size(parameters=1_727_962, macs=252_887_680, features=64),
    "mlp": Size(parameters=820_874, macs=820_480, features=128),
}


def family_of(name: str) -> str | None:
    """The library or operator's package that brings an architecture: `family/name`. None: ours."""
    return name.rpartition("/")[0] or None


def requirement_of(name: str) -> str:
    """What a worker must have to build an architecture, as a token that its row may hold.

    A library is taken as a whole, for its names would be thousands in every claim.
    """
    family = family_of(name)
    return f"architecture:{name}" if family is None else f"family:{family}"


def unknown_architecture(name: str, known: Sequence[str] = ARCHITECTURES) -> PydanticCustomError:
    """The error for a name that nobody knows, with the nearest names that somebody does."""
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    return PydanticCustomError(
        "unknown_architecture",
        "unknown architecture '{name}'; {advice}",
        {
            "name": name[:64],
            "advice": f"did you mean {', '.join(near)}?"
            if near
            else "GET /v1/capabilities lists them",
        },
    )


def _is_known(name: str) -> str:
    if family_of(name) is None and name not in OPTIONS_OF:
        raise unknown_architecture(name)
    return name


def _belong_to_architecture(
    options: dict[str, OptionValue], info: ValidationInfo
) -> dict[str, OptionValue]:
    name = info.data.get("architecture")
    if name is None or family_of(name):  # wrong, which is said already; or known to workers
        return options
    unknown = sorted(set(options) - OPTIONS_OF[name])
    if unknown:
        raise PydanticCustomError(
            "unknown_option",
            "{name} takes no option {unknown}",
            {"name": name, "unknown": ", ".join(unknown)},
        )
    if name in _OPTIONS:
        _OPTIONS[name].model_validate(options)
    return options


ArchitectureName = Annotated[
    str,
    StringConstraints(
        max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)?$"
    ),
    AfterValidator(_is_known),
    Field(
        description="Name from `GET /v1/capabilities`: a built-in one, `timm/…`, `torchvision/…`, "
        "or one that the operator installed.",
        examples=["cnn_student", "timm/resnet18"],
    ),
]
ArchitectureOptions = Annotated[
    dict[OptionName, OptionValue],
    Len(0, 64),
    AfterValidator(_belong_to_architecture),
    Field(
        description="Options of the architecture; `GET /v1/capabilities` lists them.",
        examples=[{}],
    ),
]
"""Checked against the field `architecture`, which must come before it."""


class ArchitectureSpec(Contract):
    """A fresh model: an architecture with random weights."""

    architecture: ArchitectureName
    options: ArchitectureOptions = Field(default_factory=dict)
    classes: int | None = Field(
        None, ge=2, le=100_000, description="Outputs. None: the dataset's classes."
    )
    input_size: InputSize | None = Field(
        None, description="Shape of one input. None: the dataset's.", examples=[[3, 32, 32]]
    )


def _fresh_or_reference(value: object) -> str:
    return "reference" if isinstance(value, str) else "fresh"


StartingModel = Annotated[
    Annotated[ArchitectureSpec, Tag("fresh")] | Annotated[ModelRef, Tag("reference")],
    Discriminator(_fresh_or_reference),
]
"""A fresh architecture, or a model to start from. One branch is tried, so that an error names
the field of that branch alone."""


class DatasetFacts(Contract):
    """What is known of a dataset before anything is read."""

    classes: int = Field(ge=2, description="Number of classes.")
    input_size: InputSize = Field(description="Shape of one example.")


BUILTIN_DATASETS: Final[dict[str, DatasetFacts]] = {
    "digits": DatasetFacts(classes=10, input_size=(3, 32, 32)),
}
