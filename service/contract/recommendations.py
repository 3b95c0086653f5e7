"""Recommendations: which jobs to post for a model, why, and what speaks for each."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.contract.base import Contract, DatasetRef, InputSize, ModelId, ModelRef
from service.contract.models import Form
from service.contract.prune import Targets
from service.contract.specs import JobSpec
from service.contract.system import Hardware

EvidenceKind = Literal["rule", "job", "sensitivity", "device"]
Outlook = Literal["shown", "promised", "likely", "open", "unlikely", "unknown"]
Standing = Literal["kept", "open", "not_measured"]

MOST_STEPS: Final = 4


def job_of(step: int) -> str:
    """What stands in a chain for the job that the spec numbered `step`, from 1, will be.

    No job has such an id: a spec that is posted with it is refused, with a pointer at the field.
    """
    return f"job_{step:026d}"


def with_jobs(spec: Any, jobs: Sequence[str]) -> Any:
    """A spec as JSON with the ids of jobs in the places that are kept for them."""
    ids = {job_of(step): job for step, job in enumerate(jobs, start=1)}
    match spec:
        case str():
            return ids.get(spec, spec)
        case dict():
            return {name: with_jobs(value, jobs) for name, value in spec.items()}
        case list() | tuple():
            return [with_jobs(value, jobs) for value in spec]
        case _:
            return spec


class RecommendationCreate(Contract):
    """Asks what to do with a model. Nothing is run and nothing is kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                    "dataset": "digits",
                    "targets": {"min_speedup": 2.0, "max_accuracy_drop_points": 1.0},
                }
            ]
        }
    )

    model: ModelRef = Field(description="A model, or the finished job that made it.")
    dataset: DatasetRef = Field(description="What it shall be judged, trained and calibrated on.")
    targets: Targets | None = Field(
        None, description="What is wanted, against the model as it is. None: whatever helps."
    )


class RecommendationEvidence(Contract):
    """Something that a recommendation stands on."""

    kind: EvidenceKind = Field(
        description="`job`: measured by a finished job of this project. `sensitivity`: a job's "
        "scan of the layers. `device`: what the workers alive have. `rule`: what the "
        "documentation says, or arithmetic."
    )
    ref: str | None = Field(
        description="The job, the device, or the page of the documentation.",
        examples=["job_01JD8Z6Q5T3V9X7B2C4D6F8G0H"],
    )
    text: str = Field(description="What it says.")


class ExpectedRange(Contract):
    """What a figure will be, and who says so."""

    low: float = Field(description="The lower end.")
    high: float = Field(description="The upper end; may equal the lower.")
    source: RecommendationEvidence = Field(description="Where the range comes from.")


class Expected(Contract):
    """Figures against the model as it is. Null is what nothing is known of."""

    size_ratio: ExpectedRange | None = Field(
        None, description="Bytes ÷ those of the model's weights file that has its zeros too."
    )
    compression_ratio: ExpectedRange | None = Field(
        None, description="The model's parameters ÷ those that are left and not zero."
    )
    macs_ratio: ExpectedRange | None = Field(None, description="The model's MACs ÷ these.")
    speedup: ExpectedRange | None = Field(
        None,
        description="The model's latency ÷ this one, in one runtime, at the `batch_size` of the "
        "targets (1 without targets).",
    )
    accuracy_change_points: ExpectedRange | None = Field(
        None, description="Test accuracy minus the model's, in percentage points."
    )


class TargetStanding(Contract):
    """A target and the model as it is."""

    name: str = Field(description="As in `targets`.", examples=["latency_ms"])
    asked: float = Field(description="The promise.")
    now: float | None = Field(description="What the model has, in the promise's own terms.")
    state: Standing = Field(description="`not_measured`: nobody has measured what it takes.")
    text: str = Field(description="The same in words; what would measure it.")


class TargetOutlook(Contract):
    """A target and what a recommendation will do for it."""

    name: str = Field(description="As in `targets`.")
    asked: float = Field(description="The promise.")
    outlook: Outlook = Field(
        description="`shown`: a finished job kept it on this very model. `promised`: a job of the "
        "recommendation keeps it or fails. `likely`, `unlikely`: what is expected lies within it, "
        "or beyond. `open`: what is expected lies on both sides, or was seen elsewhere only. "
        "`unknown`: nothing tells."
    )
    text: str = Field(description="Why.")


Specs = Annotated[tuple[JobSpec, ...], Len(1, MOST_STEPS)]


class Recommendation(Contract):
    """One thing to do: a job, or jobs in a row."""

    rank: int = Field(ge=1, description="1 is the best.")
    method: str = Field(
        description="What is done, for programs.",
        examples=["static_int8", "structured+static_int8"],
    )
    title: str = Field(description="What is done, for people.")
    reason: str = Field(description="Why, in a sentence.")
    specs: Specs = Field(
        description="Ready for `POST /v1/jobs`, in this order. In a chain "
        "`job_00000000000000000000000001` stands for the job of the first spec, and so on: put "
        "in the id that posting it gave. Posted as it is, such a spec is refused."
    )
    chain: str | None = Field(
        description="Of several specs: in words, which field takes which id. Null for one."
    )
    targets: tuple[TargetOutlook, ...] = Field(description="What it does for each target.")
    expected: Expected = Field(description="What is known beforehand, with who says so.")
    evidence: tuple[RecommendationEvidence, ...] = Field(description="What it stands on.")
    caveats: tuple[str, ...] = Field(description="What may be otherwise.")


class RecommendedModel(Contract):
    """The model that was asked about."""

    model: ModelId = Field(description="The model.")
    name: str = Field(description="What it is called.")
    form: Form = Field(description="A `graph` can be neither pruned nor trained.")
    architecture: str | None = Field(description="Architecture name; `onnx` for a graph.")
    input_size: InputSize | None = Field(description="Shape of one input.")
    classes: int | None = Field(description="Outputs.")
    parameters: int | None = Field(description="Number of parameters.")
    macs: int | None = Field(description="Multiply–accumulates of one input.")
    size_bytes: int | None = Field(description="Bytes of its smallest weights file.")
    test_accuracy: float | None = Field(
        description="On the test split of the dataset, where a finished job says it."
    )


class Recommendations(Contract):
    """What to do with a model, best first."""

    object: Literal["recommendations"] = Field(
        "recommendations", description="Always `recommendations`."
    )
    request: RecommendationCreate = Field(description="What was asked.")
    model: RecommendedModel = Field(description="The model as it is.")
    hardware: tuple[Hardware, ...] = Field(description="What the workers alive compute on.")
    targets: tuple[TargetStanding, ...] = Field(description="Each target and the model as it is.")
    recommendations: tuple[Recommendation, ...] = Field(description="Best first.")
    notes: tuple[str, ...] = Field(description="What holds for all of them.")
