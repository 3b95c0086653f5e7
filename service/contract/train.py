"""`train`: a model from scratch, or one trained further."""

from typing import Literal

from pydantic import ConfigDict, Field

from service.contract.base import DatasetRef
from service.contract.catalog import StartingModel
from service.contract.training import RepeatedSpec, TrainedResult, TrainingField


class TrainSpec(RepeatedSpec):
    """Train a model on labelled data."""

    model_config = ConfigDict(
        title="train",
        json_schema_extra={
            "examples": [
                {"kind": "train", "model": {"architecture": "cnn_teacher"}, "dataset": "digits"}
            ]
        },
    )

    kind: Literal["train"] = Field("train", description="The kind of job.")
    model: StartingModel = Field(description="A fresh architecture, or a model to train further.")
    dataset: DatasetRef
    training: TrainingField


class TrainResult(TrainedResult):
    """What a `train` job made."""

    kind: Literal["train"] = Field("train", description="The kind of job.")
