"""`distill`: a student that learns from teachers' outputs as well as from labels."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import Contract, DatasetRef, ModelRef, Share
from service.contract.before_after import BeforeAfter
from service.contract.benchmark import LatencyBatchSizes
from service.contract.catalog import StartingModel
from service.contract.losses import AnyLoss, FitnetLoss, KdLoss, LossOrMix
from service.contract.training import (
    Evaluation,
    ModelFacts,
    RepeatedSpec,
    TrainedResult,
    TrainingField,
)

TeacherMode = Literal["average", "best_per_sample"]
LogitsSource = Literal["live", "computed", "reused"]


Preset = Literal["recommended"]
PRESETS: Final[Mapping[Preset, tuple[AnyLoss, ...]]] = {
    # What the teacher sees in its maps helps a student that cannot yet follow its logits.
    "recommended": (
        # Named, for a spec that is shown without its defaults is read by the names of its losses.
        KdLoss(name="kd", temperature=2.0, alpha=0.9, alpha_end=0.1),
        FitnetLoss(name="fitnet", alpha=0.0, scale=5.0),
    ),
}
"""Losses by name of preset; benchmarks/distill_quality measures what they gain."""


class TeacherSpec(Contract):
    """One of several teachers."""

    model: ModelRef = Field(description="The teacher: frozen, in evaluation mode.")
    weight: float = Field(1.0, gt=0, le=1e6, description="Its weight in `average`.")


class DistillSpec(RepeatedSpec):
    """Train a student from a teacher."""

    model_config = ConfigDict(
        title="distill",
        json_schema_extra={
            "examples": [
                {
                    "kind": "distill",
                    "teacher": "job_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                    "student": {"architecture": "cnn_student"},
                    "dataset": "digits",
                    "loss": {"name": "kd", "temperature": 4.0, "alpha": 0.3},
                    "training": {"epochs": 30},
                }
            ]
        },
    )

    kind: Literal["distill"] = Field("distill", description="The kind of job.")
    teacher: ModelRef | None = Field(
        None, description="The teacher: frozen, in evaluation mode. Short for one of `teachers`."
    )
    teachers: Annotated[tuple[TeacherSpec, ...], Len(0, 8)] = Field(
        (), description="Several teachers, in place of `teacher`."
    )
    teacher_mode: TeacherMode = Field(
        "average",
        description="Several teachers: `average` of their logits by weight, or for each example "
        "the one that is best on its label. Losses of features listen to the first.",
    )
    student: StartingModel = Field(description="A fresh architecture, or a model to start from.")
    dataset: DatasetRef
    loss: LossOrMix = Field(
        default_factory=KdLoss, description="The distillation loss, or a list of them: a mix."
    )
    preset: Preset | None = Field(
        None, description="In place of `loss`: what helps most; the spec is kept with its loss."
    )
    views: int = Field(
        0,
        ge=0,
        le=64,
        description="With an augmentation: learn from so many fixed views of each image, in turn, "
        "so that the teacher is asked once for each. 0: fresh images each time.",
    )
    rounds: int = Field(
        1,
        ge=1,
        le=10,
        description="Born-again rounds: the student of one teaches a fresh student in the next.",
    )
    control: bool = Field(
        False,
        description="Also train the same student without a teacher on the same budget, to measure "
        "what the teacher gave.",
    )
    training: TrainingField
    latency_batch_sizes: LatencyBatchSizes = (1, 32)

    @model_validator(mode="before")
    @classmethod
    def _takes_the_loss_of_its_preset(cls, given: Any) -> Any:
        """The spec keeps the loss and not the name: it means the same when presets have moved."""
        if not isinstance(given, dict):
            return given
        losses = next((of for name, of in PRESETS.items() if name == given.get("preset")), None)
        if losses is None:
            return given
        if given.get("loss") is not None:
            raise PydanticCustomError("impossible_combination", "give either loss or preset")
        return {**given, "preset": None, "loss": losses[0] if len(losses) == 1 else losses}

    @model_validator(mode="after")
    def _has_teachers(self) -> Self:
        if (self.teacher is None) == (not self.teachers):
            raise PydanticCustomError(
                "impossible_combination", "give either teacher or teachers, and one at least"
            )
        if len({teacher.model for teacher in self.teachers}) < len(self.teachers):
            raise PydanticCustomError("impossible_combination", "each teacher may come once")
        return self

    @model_validator(mode="after")
    def _has_views_of_something(self) -> Self:
        if self.views and self.training.augmentation == "none":
            raise PydanticCustomError(
                "impossible_combination", "views need an augmentation in training"
            )
        return self

    @property
    def all_teachers(self) -> tuple[TeacherSpec, ...]:
        """Those named by either field."""
        return self.teachers if self.teacher is None else (TeacherSpec(model=self.teacher),)

    @property
    def losses(self) -> tuple[AnyLoss, ...]:
        """The mix, which may be of one."""
        return self.loss if isinstance(self.loss, tuple) else (self.loss,)


class TeacherResult(Contract):
    """One of the teachers."""

    facts: ModelFacts = Field(description="Its size.")
    test: Evaluation = Field(description="On the test split.")
    weight: float = Field(gt=0, description="As in the spec.")


class RoundResult(Contract):
    """The student of one born-again round."""

    round: int = Field(ge=1, description="Counted from 1.")
    validation_accuracy: Share = Field(description="Of the epoch that was kept.")
    test_accuracy: Share = Field(description="On the test split.")


class ControlResult(Contract):
    """The same student, trained without a teacher on the same budget and seeds."""

    validation_accuracy: Share = Field(description="On the validation split, mean over seeds.")
    test_accuracy: Share = Field(description="On the test split, mean over seeds.")
    gain_points: float = Field(
        description="The distilled student's test accuracy minus the control's, in percentage "
        "points, mean over seeds."
    )
    gains_points: tuple[float, ...] = Field(description="The same for each seed.")


class DistillResult(TrainedResult):
    """What a `distill` job made, beside its teacher."""

    kind: Literal["distill"] = Field("distill", description="The kind of job.")
    teacher: ModelFacts = Field(description="The size of the teacher, or of the first.")
    teacher_test: Evaluation = Field(
        description="The teacher on the test split; several: what they say together."
    )
    teachers: tuple[TeacherResult, ...] = Field(
        (), description="Each of several teachers. Empty for one."
    )
    compression_ratio: float = Field(gt=0, description="Teacher parameters ÷ student parameters.")
    accuracy_retention: float = Field(
        ge=0, description="Student accuracy ÷ teacher accuracy on the test split."
    )
    accuracy_change_points: float = Field(
        description="Student minus teacher accuracy, in percentage points."
    )
    agreement: Share = Field(
        description="Share of test examples on which both give the same top prediction."
    )
    class_change_points: tuple[float | None, ...] = Field(
        (), description="Student minus teacher accuracy by class, in percentage points."
    )
    rounds: tuple[RoundResult, ...] = Field(
        (), description="Each of several born-again rounds; the last one's student was kept."
    )
    control: ControlResult | None = Field(None, description="Where `control` was asked for.")
    teacher_logits: LogitsSource = Field(
        "live",
        description="Whether the teachers answered beside the student (`live`), or once before it: "
        "in this job (`computed`), or in an earlier one of the project (`reused`).",
    )
    comparison: BeforeAfter | None = Field(
        None, description="The teacher against the student. Null in results of older jobs."
    )
