"""Datasets: what registers one, and what is shown of it."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import (
    CheckStatus,
    Contract,
    InputSize,
    ResourceName,
    Sha256,
    Share,
    Time,
)
from service.contract.job_errors import JobError
from service.contract.normalisation import Normalisation

DatasetFormat = Literal["npz", "image_zip", "parquet", "csv_zip"]


class DatasetCreate(Contract):
    """Registers data: an uploaded file, or a file of a source that the operator declared."""

    file: ResourceName | None = Field(
        None, description="The uploaded file.", examples=["flowers.zip"]
    )
    source: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_-]{0,62}$",
        description="A source that the operator declared, instead of an upload.",
    )
    path: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="The file within the source. It is copied and hashed.",
    )
    name: ResourceName | None = Field(None, description="What to call it. None: the file's name.")
    format: DatasetFormat = Field(
        description="`npz`: arrays x_train, y_train, x_test, y_test. `image_zip`: a zip of an "
        "ImageFolder, `train/`, `validation/`, `test/` or one tree of classes. `parquet`: the "
        "Hugging Face layout, one file, or a zip of one per split. `csv_zip`: a zip of images and "
        "of a CSV with the columns path, label and, if you like, split."
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.9, description="Cut from train, stratified, if there is no validation."
    )
    image_size: int | None = Field(
        None, ge=1, le=1024, description="Side to resize images to. None: the commonest size."
    )
    undecodable_share: Share = Field(
        0.01, description="Skip and count images that cannot be read, up to this share of all."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of the splits.")

    @model_validator(mode="after")
    def _names_one_origin(self) -> Self:
        if (self.file is None) == (self.source is None) or (self.source is None) != (
            self.path is None
        ):
            raise PydanticCustomError(
                "impossible_combination", "name a file, or a source and a path"
            )
        return self


class ImageSizes(Contract):
    """Height and width of the images as they came."""

    smallest: tuple[int, int] = Field(description="Of the fewest pixels.")
    largest: tuple[int, int] = Field(description="Of the most pixels.")
    commonest: tuple[int, int] = Field(description="Of the most images.")


class Duplicates(Contract):
    """Examples of one split that are, to the last bit, also in another."""

    splits: tuple[str, str] = Field(description="The two splits.", examples=[["train", "test"]])
    count: int = Field(ge=1, description="Examples of the second that the first has too.")


class DatasetFindings(Contract):
    """What a careful reader should know of the data."""

    image_sizes: ImageSizes | None = Field(None, description="For images.")
    duplicates: tuple[Duplicates, ...] = Field((), description="Across splits; empty is good.")
    undecodable: int = Field(0, ge=0, description="Images skipped.")
    undecodable_names: tuple[str, ...] = Field((), description="The first of them.")


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
    labels: tuple[str, ...] | None = Field(description="Names of the classes. Null in lists.")
    splits: SplitSizes | None = Field(description="Examples per split.")
    class_counts: dict[str, tuple[int, ...]] | None = Field(
        description="Examples per class, by split. Null in lists."
    )
    normalisation: Normalisation | None = Field(description="Channel statistics of train.")
    findings: DatasetFindings | None = Field(None, description="What stands out.")
    contact_sheet: bool = Field(
        False, description="Whether `GET /v1/datasets/{id}/contact-sheet` has a picture."
    )
    source: str | None = Field(None, description="The declared source, if it came from one.")
    path: str | None = Field(None, description="The file within the source.")
    digest: Sha256 | None = Field(description="SHA-256 over all arrays.")
    bytes: int | None = Field(description="Size as kept.")
    error: JobError | None = Field(description="Why it was rejected.")
    created_at: Time = Field(description="When.")
