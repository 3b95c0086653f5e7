"""Models: what registers one, and what is shown of it."""

from typing import Any, Final, Literal

from pydantic import Field

from service.contract.base import (
    CheckStatus,
    ClassName,
    Contract,
    InputSize,
    JobId,
    ModelId,
    ResourceName,
    Sha256,
    Time,
)
from service.contract.catalog import ArchitectureName, ArchitectureOptions
from service.contract.job_errors import JobError
from service.contract.normalisation import Normalisation

SourceFormat = Literal["safetensors", "torch", "huggingface", "onnx"]
"""What was uploaded; found by looking at the file, never believed."""


Form = Literal["weights", "graph"]
WEIGHTS_OF_FORM: Final[dict[Form, str]] = {"weights": "model.safetensors", "graph": "model.onnx"}
"""The file of a model's folder whose size and digest are the model's."""
CARD_FILE: Final = "README.md"
SPARSE_FILE: Final = "model.sparse.safetensors"
"""Beside it, the weights without their zeros, where that is smaller; a test holds the name to the
engine's."""
ContentFormat = Literal[
    "folder", "safetensors", "sparse", "onnx", "pt2", "openvino", "executorch", "tensorrt"
]
EXPORT_SUFFIXES: Final[dict[ContentFormat, str]] = {
    "safetensors": ".safetensors",
    "onnx": ".onnx",
    "pt2": ".pt2",
    "openvino": ".openvino.zip",
    "executorch": ".pte",
    "tensorrt": ".engine",
}
"""How the file of an exported format ends; its name begins with the model's id."""


class ModelCreate(Contract):
    """Registers a model that was uploaded.

    Labels, normalisation, classes and input size come from this request, else from the file (a
    Hugging Face folder, an ONNX graph), else from the architecture's defaults.
    """

    file: ResourceName = Field(
        description="The uploaded file: `.safetensors`, `.pt`, `.pth`, a zip of a Hugging Face "
        "folder, or `.onnx`.",
        examples=["resnet20.safetensors"],
    )
    name: ResourceName | None = Field(None, description="What to call it. None: the file's name.")
    architecture: ArchitectureName | None = Field(
        None, description="Needed for bare weights. None: the folder or the graph says it."
    )
    options: ArchitectureOptions = Field(default_factory=dict)
    classes: int | None = Field(None, ge=2, le=100_000, description="Outputs.")
    input_size: InputSize | None = Field(None, description="Shape of one input.")
    normalisation: Normalisation | None = Field(None, description="What is done to an input.")
    labels: tuple[ClassName, ...] | None = Field(
        None, max_length=100_000, description="Names of the classes, by index."
    )


class ModelRead(Contract):
    """A model."""

    id: ModelId = Field(description="Sortable by time.")
    object: Literal["model"] = Field("model", description="Always `model`.")
    name: str = Field(description="What it is called.")
    status: CheckStatus = Field(description="`checking` until a worker has looked inside.")
    form: Form = Field(description="`graph`s cannot be trained.")
    source: SourceFormat | None = Field(None, description="What was uploaded. None: a job made it.")
    architecture: str | None = Field(
        description="Architecture name; `onnx` for a graph. These five are null only while an "
        "upload that has to say them is `checking`, or where it was `rejected`."
    )
    options: dict[str, Any] = Field(description="Its options.")
    classes: int | None = Field(description="Outputs.")
    input_size: InputSize | None = Field(description="Shape of one input.")
    normalisation: Normalisation | None = Field(description="What is done to an input.")
    labels: tuple[str, ...] | None = Field(description="Names of the classes. Null in lists.")
    parameters: int | None = Field(description="Number of parameters.")
    macs: int | None = Field(description="Multiply–accumulates of one input.")
    size_bytes: int | None = Field(description="Bytes of model.safetensors, or model.onnx.")
    sha256: Sha256 | None = Field(description="Digest of the same file.")
    metrics: dict[str, float] = Field(description="What is known of it, such as `test_accuracy`.")
    parent: ModelId | None = Field(description="The model it was made from.")
    job: JobId | None = Field(description="The job that made it.")
    notes: tuple[str, ...] = Field(
        (), description="What the check did to make it fit, such as stripping a prefix of names."
    )
    error: JobError | None = Field(description="Why it was rejected.")
    created_at: Time = Field(description="When.")


class FormatsRead(Contract):
    """In which formats a model can be downloaded, and in which it cannot yet."""

    object: Literal["formats"] = Field("formats", description="Always `formats`.")
    data: dict[ContentFormat, int] = Field(
        description="Bytes, by `format` of `GET /v1/models/{id}/content`.",
        examples=[{"folder": 603_612, "safetensors": 600_184, "onnx": 602_417}],
    )


class LineageRead(Contract):
    """A model's ancestors, nearest first, and its children."""

    object: Literal["lineage"] = Field("lineage", description="Always `lineage`.")
    model: ModelRead = Field(description="The model.")
    ancestors: tuple[ModelRead, ...] = Field(description="Parent, grandparent …")
    children: tuple[ModelRead, ...] = Field(description="Models made from it.")
