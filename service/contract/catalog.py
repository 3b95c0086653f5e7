"""What ships with Modelpress, as far as a torch-free process needs to know it.

The engine's registries are the truth; a test holds these tables against them.
"""

from difflib import get_close_matches
from typing import Annotated, Final, Literal, get_args

from pydantic import (
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from service.contract.base import Contract, InputSize, ModelRef

ArchitectureName = Literal[
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
ARCHITECTURES: Final[tuple[str, ...]] = get_args(ArchitectureName)


class ArchitectureOptions(Contract):
    """Options of an architecture; which ones it takes is listed by `GET /v1/capabilities`."""

    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] | None = Field(
        None, min_length=1, max_length=16, description="`mlp`: widths of the hidden layers."
    )
    dropout: float | None = Field(None, ge=0, lt=1, description="`mlp`: dropout probability.")

    def given(self) -> dict[str, object]:
        """The options that were set, by name."""
        return self.model_dump(exclude_none=True, mode="json")


OPTIONS_OF: Final[dict[str, frozenset[str]]] = {
    name: frozenset({"hidden", "dropout"}) if name == "mlp" else frozenset()
    for name in ARCHITECTURES
}


def unknown_architecture(name: str) -> PydanticCustomError:
    """The error for a name that nobody knows, with the nearest names that somebody does."""
    near = get_close_matches(name, ARCHITECTURES, n=3, cutoff=0.4)
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


class ArchitectureSpec(Contract):
    """A fresh model: an architecture with random weights."""

    architecture: str = Field(
        max_length=128,
        description="Name from `GET /v1/capabilities`.",
        examples=["cnn_student"],
    )
    options: Annotated[ArchitectureOptions, PlainSerializer(lambda options: options.given())] = (
        Field(default_factory=ArchitectureOptions, description="Options of the architecture.")
    )
    classes: int | None = Field(
        None, ge=2, le=100_000, description="Outputs. None: the dataset's classes."
    )
    input_size: InputSize | None = Field(
        None, description="Shape of one input. None: the dataset's.", examples=[[3, 32, 32]]
    )

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in OPTIONS_OF:
            raise unknown_architecture(name)
        return name

    @field_validator("options")
    @classmethod
    def _belong_to_architecture(
        cls, options: ArchitectureOptions, info: ValidationInfo
    ) -> ArchitectureOptions:
        name = info.data.get("architecture")
        if name is None:  # the name is wrong, which is said already
            return options
        foreign = sorted(set(options.given()) - OPTIONS_OF[name])
        if foreign:
            raise PydanticCustomError(
                "unknown_option",
                "{name} takes no option {foreign}",
                {"name": name, "foreign": ", ".join(foreign)},
            )
        return options


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
