"""Datasets: what registers one, and what is shown of it."""

from typing import Literal

from pydantic import Field

from service.contract.base import (
    CheckStatus,
    Contract,
    InputSize,
    ResourceName,
    Sha256,
    Time,
)
from service.contract.job_errors import JobError
from service.contract.normalisation import Normalisation

DatasetFormat = Literal["npz", "image_zip"]


class DatasetCreate(Contract):
    """Registers data that was uploaded."""

    file: ResourceName = Field(description="The uploaded file.", examples=["flowers.zip"])
    name: ResourceName | None = Field(None, description="What to call it. None: the file's name.")
    format: DatasetFormat = Field(
        description="`npz`: arrays x_train, y_train, x_test, y_test. `image_zip`: a zip of an "
        "ImageFolder, `train/`, `validation/`, `test/` or one tree of classes."
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.9, description="Cut from train, stratified, if there is no validation."
    )
    image_size: int | None = Field(
        None, ge=1, le=1024, description="`image_zip`: side to resize to. None: the commonest size."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of the splits.")


class SplitSizes(Contract):
    """Examples per split."""

    train: int = Field(ge=0, description="To learn from.")
    validation: int = Field(ge=0, description="To select by.")
    test: int = Field(ge=0, description="To report on.")


class DatasetRead(Contract):
    """A dataset: immutable once `ready`."""

    id: str = Field(description="The dataset.", examples=["dst_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["dataset"] = Field("dataset", description="Always `dataset`.")
    name: str = Field(description="What it is called.")
    status: CheckStatus = Field(description="`checking` until a worker has looked inside.")
    format: DatasetFormat = Field(description="As uploaded.")
    classes: int | None = Field(description="Number of classes.")
    input_size: InputSize | None = Field(description="Shape of one example.")
    labels: tuple[str, ...] | None = Field(description="Names of the classes.")
    splits: SplitSizes | None = Field(description="Examples per split.")
    class_counts: dict[str, tuple[int, ...]] | None = Field(
        description="Examples per class, by split."
    )
    normalisation: Normalisation | None = Field(description="Channel statistics of train.")
    digest: Sha256 | None = Field(description="SHA-256 over all arrays.")
    bytes: int | None = Field(description="Size as kept.")
    error: JobError | None = Field(description="Why it was rejected.")
    created_at: Time = Field(description="When.")
