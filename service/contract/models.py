"""Models: what registers one, and what is shown of it."""

from typing import Any, Literal

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
from service.contract.catalog import ArchitectureSpec
from service.contract.job_errors import JobError
from service.contract.normalisation import Normalisation


class ModelCreate(ArchitectureSpec):
    """Registers weights that were uploaded."""

    file: ResourceName = Field(description="The uploaded file.", examples=["resnet20.safetensors"])
    name: ResourceName | None = Field(None, description="What to call it. None: the file's name.")
    classes: int = Field(ge=2, le=100_000, description="Outputs.")
    input_size: InputSize
    normalisation: Normalisation | None = Field(
        None, description="None: mean 0 and std 1, that is x ÷ 255."
    )
    labels: tuple[ClassName, ...] | None = Field(
        None, max_length=100_000, description="Names of the classes, by index."
    )


class ModelRead(Contract):
    """A model."""

    id: ModelId = Field(description="Sortable by time.")
    object: Literal["model"] = Field("model", description="Always `model`.")
    name: str = Field(description="What it is called.")
    status: CheckStatus = Field(description="`checking` until a worker has looked inside.")
    form: Literal["weights", "graph"] = Field(description="`graph`s cannot be trained.")
    architecture: str = Field(description="Architecture name.")
    options: dict[str, Any] = Field(description="Its options.")
    classes: int = Field(description="Outputs.")
    input_size: InputSize
    normalisation: Normalisation = Field(description="What is done to an input.")
    labels: tuple[str, ...] | None = Field(description="Names of the classes.")
    parameters: int | None = Field(description="Number of parameters.")
    macs: int | None = Field(description="Multiply–accumulates of one input.")
    size_bytes: int | None = Field(description="Bytes of model.safetensors.")
    sha256: Sha256 | None = Field(description="Digest of model.safetensors.")
    metrics: dict[str, float] = Field(description="What is known of it, such as `test_accuracy`.")
    parent: ModelId | None = Field(description="The model it was made from.")
    job: JobId | None = Field(description="The job that made it.")
    error: JobError | None = Field(description="Why it was rejected.")
    created_at: Time = Field(description="When.")


class LineageRead(Contract):
    """A model's ancestors, nearest first, and its children."""

    object: Literal["lineage"] = Field("lineage", description="Always `lineage`.")
    model: ModelRead = Field(description="The model.")
    ancestors: tuple[ModelRead, ...] = Field(description="Parent, grandparent …")
    children: tuple[ModelRead, ...] = Field(description="Models made from it.")
