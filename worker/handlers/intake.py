"""Checks of uploads: what was read is written anew, so that no uploaded byte goes further."""

from pathlib import Path
from typing import assert_never

from pydantic import ValidationError

from worker.engine.errors import InvalidDataset, InvalidModel
from worker.handlers.intake_dataset import check_dataset
from worker.handlers.intake_model import check_model
from worker.order import CheckProduct, DatasetCheckOrder, ModelCheckOrder


def check(order: ModelCheckOrder | DatasetCheckOrder, folder: Path) -> CheckProduct:
    """Raises an EngineError that says what is wrong with the upload."""
    match order.kind:
        case "model":
            try:
                return CheckProduct(checked=check_model(order, folder))
            except ValidationError as error:
                raise InvalidModel(_beyond(error)) from error
        case "dataset":
            try:
                return CheckProduct(checked=check_dataset(order, folder))
            except ValidationError as error:
                raise InvalidDataset(_beyond(error)) from error
        case _:
            assert_never(order)


def _beyond(error: ValidationError) -> str:
    """What was found is sound, and larger than the service shows: the contract has the limits."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
