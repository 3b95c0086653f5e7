"""What is done to an input before a model sees it."""

from typing import Annotated

from pydantic import Field

from service.contract.base import Contract


class Normalisation(Contract):
    """What is done to an input: (x ÷ 255 − mean) ÷ std, per channel."""

    mean: tuple[float, ...] = Field(min_length=1, max_length=8192, description="Per channel.")
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        min_length=1, max_length=8192, description="Per channel."
    )
