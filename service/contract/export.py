"""`export`: a model as files of other formats, each held against the model in its runtime."""

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.contract.base import (
    Contract,
    DatasetRef,
    EachOnce,
    JobSpecBase,
    ModelRef,
    Sha256,
    Share,
)
from service.contract.training import DataFacts, Environment, ModelFacts

ExportFormat = Literal["safetensors", "onnx", "pt2", "openvino", "executorch", "tensorrt"]
Formats = Annotated[tuple[ExportFormat, ...], Len(1, 6), EachOnce]


class ExportSpec(JobSpecBase):
    """Export a model and check every file in its runtime."""

    model_config = ConfigDict(
        title="export",
        json_schema_extra={
            "examples": [
                {
                    "kind": "export",
                    "model": "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
                    "formats": ["onnx", "pt2"],
                }
            ]
        },
    )

    kind: Literal["export"] = Field("export", description="The kind of job.")
    model: ModelRef = Field(description="The model to export; the files are downloaded from it.")
    formats: Formats = Field(
        ("onnx",),
        description="What to write. A format whose runtime the worker lacks is skipped with a "
        "reason; the job fails only where that leaves none.",
    )
    dataset: DatasetRef | None = Field(
        None, description="Compare on its validation split. None: on random inputs."
    )


class ExportParity(Contract):
    """The file in its runtime against the model in PyTorch: logits, in float32."""

    samples: int = Field(ge=1, description="Inputs compared.")
    data: Literal["validation", "random"] = Field(description="What they were.")
    max_abs_difference: float = Field(ge=0, description="Largest difference of any logit.")
    mean_abs_difference: float = Field(ge=0, description="Mean difference of all logits.")
    agreement: Share = Field(description="Share of inputs with the same top prediction.")
    tolerance: float = Field(gt=0, description="The largest difference that would have passed.")


class ExportedModel(Contract):
    """One file that was written, loaded again and compared."""

    format: ExportFormat = Field(description="Its format; `GET …/content?format=` takes it.")
    file: str = Field(description="Its name among the job's artifacts.")
    size_bytes: int = Field(ge=0, description="Its size.")
    sha256: Sha256 = Field(description="Its digest.")
    runtime: str = Field(description="What ran it, with its version.")
    opset: int | None = Field(None, description="Version of ONNX's operators; null elsewhere.")
    parity: ExportParity = Field(description="How it compares.")


class SkippedExport(Contract):
    """A format that this worker cannot write."""

    format: ExportFormat = Field(description="The format.")
    code: Literal["runtime_missing"] = Field("runtime_missing", description="Why, for programs.")
    reason: str = Field(description="Why.")


class ExportResult(Contract):
    """What an `export` job wrote."""

    kind: Literal["export"] = Field("export", description="The kind of job.")
    source: ModelFacts = Field(description="The model that was exported.")
    exports: tuple[ExportedModel, ...] = Field(min_length=1, description="The files.")
    skipped: tuple[SkippedExport, ...] = Field((), description="Formats without a file.")
    data: DataFacts | None = Field(description="The data compared on. Null: random inputs.")
    environment: Environment = Field(description="Where it ran.")
    seed: int = Field(description="The seed of the spec; nothing here is drawn by it.")
    warnings: tuple[str, ...] = Field((), description="What a careful reader should know.")
