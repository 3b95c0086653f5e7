"""What is done to an input before a model sees it."""

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from service.contract.base import Contract


class Normalisation(Contract):
    """What is done to an input: (x ÷ 255 − mean) ÷ std, per channel."""

    mean: tuple[float, ...] = Field(min_length=1, max_length=8192, description="Per channel.")
    std: tuple[float, ...] = Field(min_length=1, max_length=8192, description="Per channel.")

    @field_validator("std")
    @classmethod
    def _is_positive(cls, std: tuple[float, ...]) -> tuple[float, ...]:
        if any(value <= 0 for value in std):
            raise PydanticCustomError("not_positive", "every std must be above zero")
        return std
