"""What every part of the contract shares: closed frozen models, references, common spec fields."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from service.contract.ids import ULID_PATTERN


def _take_nothing_else(schema: Any) -> None:
    """JSON has types of its own: pydantic would take `"3"` and `true` for numbers. All of its
    strictness would be too much, as lists come for tuples and texts for times."""
    if isinstance(schema, list | tuple):
        for each in schema:
            _take_nothing_else(each)
    elif isinstance(schema, dict) and schema.get("function") not in _CHECKED:
        match schema.get("type"):
            case "float":
                schema["strict"] = True
            case "int":  # 3.0 is one, as JSON Schema has it
                schema |= core_schema.no_info_before_validator_function(_whole, schema.copy())
            case "bool":  # NumPy's are
                schema |= core_schema.no_info_before_validator_function(_truth, schema.copy())
            case _:
                for each in schema.values():
                    _take_nothing_else(each)


def _whole(value: object) -> object:
    if isinstance(value, bool | str):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def _truth(value: object) -> object:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        raise PydanticCustomError("bool_type", "Input should be a valid boolean")
    return value


_CHECKED: Final = ({"type": "no-info", "function": _whole}, {"type": "no-info", "function": _truth})


class Contract(BaseModel):
    """A value of the contract: frozen, closed (unknown fields are errors), without NaN. A number is
    a number, never a text that looks like one, nor true or false."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _take_nothing_else(schema)
        return schema


def _rfc3339(value: object) -> object:
    if isinstance(value, str) and _MOMENT.fullmatch(value) is None:
        raise PydanticCustomError("time", "needs an offset, such as Z: 2026-01-31T12:00:00Z")
    if isinstance(value, int | float):
        raise PydanticCustomError("time", "must be a text as RFC 3339 has it")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # in UTC it lies before the year 1, or after 9999
        raise PydanticCustomError("time", "is no time of ours") from None


_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
Time = Annotated[datetime, BeforeValidator(_rfc3339), AfterValidator(_in_utc)]


def _each_once(values: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("duplicate", "must not name the same thing twice")
    return values


class _EachOnce:
    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_each_once, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(schema) | {"uniqueItems": True}


EachOnce: Final = _EachOnce()
"""Of a list whose items differ."""

Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
JobId = Annotated[str, StringConstraints(pattern=rf"^job_{ULID_PATTERN}$")]
ModelId = Annotated[str, StringConstraints(pattern=rf"^mdl_{ULID_PATTERN}$")]
ModelRef = Annotated[
    str,
    StringConstraints(pattern=rf"^(mdl|job)_{ULID_PATTERN}$"),
    Field(
        description="A model, or the job that will make it.",
        examples=["mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H", "job_01JD8Z6Q5T3V9X7B2C4D6F8G0H"],
    ),
]
DatasetRef = Annotated[
    str,
    StringConstraints(pattern=rf"^(dst_{ULID_PATTERN}|[a-z][a-z0-9_]{{0,31}})$"),
    Field(
        description="A registered dataset, or the name of a built-in one such as `digits`.",
        examples=["digits", "dst_01JD8Z6Q5T3V9X7B2C4D6F8G0H"],
    ),
]
InputSize = Annotated[
    tuple[Annotated[int, Field(ge=1, le=8192)], ...],
    Field(
        min_length=1,
        max_length=4,
        description="Shape of one input without the batch: channels, height, width for images.",
        examples=[[3, 32, 32]],
    ),
]
ResourceName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")
]
ClassName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-/]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=16)]

CheckStatus = Literal["checking", "ready", "rejected"]
"""Whether a worker has looked inside an upload, and what it found."""

Device = Literal["auto", "cpu", "cuda"]
MOST_GPUS: Final = 8
"""That a job may use, all in one machine."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class JobSpecBase(Contract):
    """Fields that every kind of job takes."""

    name: ResourceName | None = Field(None, description="A name for people; need not be unique.")
    labels: Labels = Field(
        default_factory=dict,
        description="Key–value pairs to find the job by.",
        examples=[{"team": "vision"}],
    )
    priority: int = Field(5, ge=0, le=9, description="Higher runs first within a project.")
    device: Device = Field(
        "auto", description="`auto` takes what the worker has: a GPU if there is one."
    )
    gpus: int = Field(1, ge=1, le=1, description="Devices the job may use: one.")
    precision: Precision = Field(
        "auto",
        description="Arithmetic of the forward pass: `auto` is bf16 on GPUs that have it, "
        "float32 elsewhere.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seeds weights, order and augmentation.")
    timeout_s: float | None = Field(
        None,
        gt=0,
        le=36_000,
        description="Longest run time in seconds, queue wait not counted. "
        "None: the operator's limit.",
    )
    max_attempts: int = Field(
        3, ge=1, le=10, description="How often a job may start before it fails for good."
    )
    dry_run: bool = Field(
        False, description="Answer with the plan (what would be trained or measured) and stop."
    )
