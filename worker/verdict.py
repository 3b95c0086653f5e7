"""What the end of a check means, and what a check may take."""

from dataclasses import replace
from pathlib import Path
from signal import SIGKILL
from typing import Final

from service.contract.job_errors import JobError, JobErrorCode
from worker.channel import Message
from worker.engine_child import ExitStatus
from worker.engine_host import INTAKE_LIMITS
from worker.isolation import Limits
from worker.order import PRODUCT, CheckedDataset, CheckedModel, CheckOrder, CheckProduct

_COPIES_OF_WEIGHTS: Final = 4


class CheckFailed(Exception):
    """The upload is not what it should be."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


class CheckLost(Exception):
    """The child was killed by somebody else: its worker stops, or the machine has no memory."""


def limits_of(order: CheckOrder, source_bytes: int) -> Limits:
    """Weights are mapped, copied, and loaded again, each time whole; data are streamed."""
    assert INTAKE_LIMITS.address_space_bytes is not None
    copies = _COPIES_OF_WEIGHTS * source_bytes if order.check.kind == "model" else 0
    return replace(INTAKE_LIMITS, address_space_bytes=INTAKE_LIMITS.address_space_bytes + copies)


def verdict(
    order: CheckOrder, said: Message | None, status: ExitStatus, folder: Path
) -> CheckedModel | CheckedDataset:
    """What a child found. Raises CheckFailed for what it refused or died of, CheckLost where
    somebody else ended it."""
    match said or {}:
        case {"type": "done"}:
            return CheckProduct.model_validate_json((folder / PRODUCT).read_bytes()).checked
        case {"type": "error", "code": str(code), "message": str(message)}:
            hint = said.get("hint") if said else None
            raise CheckFailed(JobError.of(code, message, hint))  # type: ignore[arg-type]  # it validates
        case _ if status.signal == SIGKILL and status.killed_by in (None, "kill"):
            raise CheckLost(f"the check in {folder.name} was killed from outside")
        case _:
            wrong: JobErrorCode = (
                "invalid_model" if order.check.kind == "model" else "invalid_dataset"
            )
            if status.killed_by == "deadline":
                how = "took too long: it asks for more arithmetic than a file of its size may"
            else:
                ended = f"signal {status.signal}" if status.signal else f"code {status.code}"
                how = f"ended with {ended}: too large or malformed"
            raise CheckFailed(JobError.of(wrong, f"the check {how}"))
