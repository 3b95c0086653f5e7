"""What can go wrong in the engine.

    EngineError
    ├── InvalidModel        InvalidDataset        InvalidCheckpoint
    ├── IncompatibleModels  IncompatibleDataset
    ├── NotTrainable        NotExportable         UnsupportedDevice   RuntimeMissing
    ├── NotPrunable         NotQuantizable        TargetNotReached
    └── OutOfMemory         Diverged              DiskFull

`Stopped` stands apart: it is what a caller asked for, not a failure. So does `RankLost`: what the
other process died of is the failure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch


class EngineError(Exception):
    """A fact about the input or the machine, with a code that callers can switch on."""

    code: ClassVar[str]

    def __init__(self, message: str, hint: str | None = None) -> None:
        """`hint` says what to do next; None where the code's own advice is as good."""
        super().__init__(message)
        self.hint = hint


class InvalidModel(EngineError):
    code = "invalid_model"


class InvalidDataset(EngineError):
    code = "invalid_dataset"


class InvalidCheckpoint(EngineError):
    code = "invalid_checkpoint"


class IncompatibleModels(EngineError):
    code = "incompatible_models"


class IncompatibleDataset(EngineError):
    code = "incompatible_dataset"


class NotTrainable(EngineError):
    code = "not_trainable"


class NotPrunable(EngineError):
    code = "not_prunable"


class NotQuantizable(EngineError):
    code = "not_quantizable"


class TargetNotReached(EngineError):
    code = "target_not_reached"


class NotExportable(EngineError):
    code = "not_exportable"


class RuntimeMissing(EngineError):
    code = "runtime_missing"


class UnsupportedDevice(EngineError):
    code = "unsupported_device"


class OutOfMemory(EngineError):
    code = "out_of_memory"


class Diverged(EngineError):
    code = "diverged"


class DiskFull(EngineError):
    code = "disk_full"


class Stopped(Exception):  # an answer to should_stop(), not an error
    """Raised after the checkpoint that `Observer.should_stop` asked for was written."""


class RankLost(Exception):
    """Another process that takes part in the run has died, or did not come."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn every way in which torch says that memory ran out into `OutOfMemory`."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(f"memory ran out: {_first_line(error)}") from error
    except RuntimeError as error:
        # The CPU allocator has no exception class of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise OutOfMemory(f"memory ran out: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
