"""What passes between the worker and an engine child: an order goes in, a product comes out.

Both are files in the child's folder, since results hold more than a line of the channel carries.
The channel carries what happens meanwhile; `Telling` names the messages.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from service.contract.base import Contract, InputSize, ModelId, Sha256, Time
from service.contract.catalog import Options
from service.contract.datasets import DatasetFindings, DatasetFormat
from service.contract.models import Form, SourceFormat
from service.contract.normalisation import Normalisation
from service.contract.specs import JobResult, JobSpec

ORDER: Final = "order.json"
PRODUCT: Final = "product.json"
OUT: Final = "out"
CHECKPOINTS: Final = "checkpoints"
TEACHER_LOGITS: Final = "teacher_logits"
SENSITIVITY: Final = "sensitivity"

RelativePath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*$")
]


class ModelInput(Contract):
    """A model that the job reads."""

    id: ModelId
    name: str
    folder: RelativePath
    sha256: Sha256


class KnownFile(Contract):
    """What an earlier job may have left: the artifact's name, and the file if it is here."""

    name: str
    path: RelativePath | None


class TeacherLogits(KnownFile):
    """Logits of a teacher that may be known."""


class JobOrder(Contract):
    """A job as its child gets it. `models`, `datasets` and `teacher_logits` are keyed by the
    spec's references."""

    job_id: str
    spec: JobSpec
    model_id: ModelId = Field(description="The id of the model that the job may make.")
    created_at: Time
    models: dict[str, ModelInput]
    datasets: dict[str, RelativePath]
    teacher_logits: dict[str, TeacherLogits] = Field(default_factory=dict)
    sensitivity: KnownFile | None = None
    checkpoint: RelativePath | None


class ProducedFile(Contract):
    """A file for the list of artifacts; `path` is within the child's folder."""

    name: str
    kind: Literal["report", "figure", "teacher_logits", "sensitivity", "export", "samples"]
    media_type: str
    path: RelativePath


class ProducedModel(Contract):
    """A model folder that the job made."""

    folder: RelativePath
    form: Form = "weights"
    name: str
    architecture: str
    options: dict[str, Any]
    classes: int
    input_size: InputSize
    normalisation: Normalisation
    labels: tuple[str, ...] | None
    parameters: int
    macs: int | None
    parent: ModelId | None


class JobProduct(Contract):
    """What a job made."""

    result: JobResult
    metrics: dict[str, float]
    model: ProducedModel | None
    files: tuple[ProducedFile, ...]


class ModelCheckOrder(Contract):
    """An uploaded model to look into. What is None, the file or the architecture has to say."""

    kind: Literal["model"] = "model"
    source: RelativePath
    format: SourceFormat
    name: str
    architecture: str | None
    options: Options
    classes: int | None
    input_size: InputSize | None
    normalisation: Normalisation | None
    labels: tuple[str, ...] | None


class DatasetCheckOrder(Contract):
    """An uploaded dataset to look into."""

    kind: Literal["dataset"] = "dataset"
    source: RelativePath
    format: DatasetFormat
    validation_share: float
    image_size: int | None
    undecodable_share: float
    seed: int


class CheckOrder(Contract):
    """One of the two."""

    check: Annotated[ModelCheckOrder | DatasetCheckOrder, Field(discriminator="kind")]


class CheckedModel(Contract):
    """A model folder, written anew from what was read."""

    kind: Literal["model"] = "model"
    folder: RelativePath
    form: Form
    architecture: str
    options: Options
    classes: int
    input_size: InputSize
    normalisation: Normalisation
    labels: tuple[str, ...] | None
    notes: tuple[str, ...]
    parameters: int
    macs: int | None


class CheckedDataset(Contract):
    """A dataset in canonical form, written anew from what was read."""

    kind: Literal["dataset"] = "dataset"
    path: RelativePath
    classes: int
    input_size: InputSize
    labels: tuple[str, ...] | None
    splits: dict[str, int]
    class_counts: dict[str, tuple[int, ...]]
    normalisation: Normalisation
    findings: DatasetFindings
    contact_sheet: RelativePath | None = Field(description="A PNG.")
    digest: Sha256


class CheckProduct(Contract):
    """What a check found."""

    checked: Annotated[CheckedModel | CheckedDataset, Field(discriminator="kind")]


Telling = Literal["phase", "step", "epoch", "checkpoint", "warning", "stopped", "done", "error"]
"""Types of message from a child. The worker sends one only: `stop`."""


def read_order(folder: Path) -> JobOrder:
    """The order in a child's folder."""
    return JobOrder.model_validate_json((folder / ORDER).read_bytes())
