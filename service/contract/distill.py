"""`distill`: a student that learns from a teacher's outputs as well as from labels."""

from typing import Literal

from pydantic import ConfigDict, Field

from service.contract.base import Contract, DatasetRef, JobSpecBase, ModelRef, Share
from service.contract.catalog import StartingModel
from service.contract.training import Evaluation, ModelFacts, TrainedResult, TrainingField


class KdLoss(Contract):
    """Knowledge distillation (Hinton, Vinyals, Dean 2015, arXiv:1503.02531).

    alpha · CE(student, labels) + (1 − alpha) · T² · KL(softmax(teacher/T) ‖ softmax(student/T))
    """

    name: Literal["kd"] = Field("kd", description="The loss.")
    temperature: float = Field(
        4.0, gt=0, le=100, description="T: softens both distributions; 1 leaves them as they are."
    )
    alpha: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Weight of the hard-label loss; 1 − alpha weighs the soft one. "
        "(Some papers use the letter the other way round.)",
    )


class DistillSpec(JobSpecBase):
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
    teacher: ModelRef = Field(description="The teacher: frozen, in evaluation mode.")
    student: StartingModel = Field(description="A fresh architecture, or a model to start from.")
    dataset: DatasetRef
    loss: KdLoss = Field(default_factory=KdLoss, description="The distillation loss.")
    training: TrainingField


class DistillResult(TrainedResult):
    """What a `distill` job made, beside its teacher."""

    kind: Literal["distill"] = Field("distill", description="The kind of job.")
    teacher: ModelFacts = Field(description="The teacher's size.")
    teacher_test: Evaluation = Field(description="The teacher on the test split.")
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
