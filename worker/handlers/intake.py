"""Checks of uploads: what was read is written anew, so that no uploaded byte goes further."""

from pathlib import Path
from typing import assert_never

from worker.handlers.intake_dataset import check_dataset
from worker.handlers.intake_model import check_model
from worker.order import CheckProduct, DatasetCheckOrder, ModelCheckOrder


def check(order: ModelCheckOrder | DatasetCheckOrder, folder: Path) -> CheckProduct:
    """Raises an EngineError that says what is wrong with the upload."""
    match order.kind:
        case "model":
            return CheckProduct(checked=check_model(order, folder))
        case "dataset":
            return CheckProduct(checked=check_dataset(order, folder))
        case _:
            assert_never(order)
