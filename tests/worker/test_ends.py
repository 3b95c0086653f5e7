"""Every way in which a child can end is a typed error, and only what may pass is tried again."""

import signal
from pathlib import Path

import pytest

from service.contract.job_errors import JobError, JobErrorCode
from service.store.values import Failed, Outcome, Succeeded
from worker.channel import Channel, pair
from worker.child import _speak
from worker.conversation import Ended
from worker.engine_child import ExitStatus
from worker.outcome import outcome_of


def end(status: ExitStatus, error: JobError | None = None) -> Outcome | None:
    said = None if error is None else "error"
    return outcome_of(Ended(said, error, status, None, False), lambda: Succeeded({}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (ExitStatus(None, signal.SIGKILL, None, 1), "engine_crashed", True),
        (ExitStatus(None, signal.SIGSEGV, None, 1), "engine_crashed", True),
        (ExitStatus(3, None, None, 1), "engine_crashed", True),
        (ExitStatus(None, signal.SIGKILL, "memory", 1), "out_of_memory", False),
        (ExitStatus(None, signal.SIGKILL, "deadline", 1), "timeout", False),
    ],
    ids=["killed by the kernel", "segfault", "exit 3", "memory watch", "deadline"],
)
def test_a_child_that_ends_without_a_word_is_a_typed_error(
    status: ExitStatus, code: str, retry: bool
) -> None:
    outcome = end(status)
    assert isinstance(outcome, Failed)
    assert (outcome.error.code, outcome.retry) == (code, retry)


@pytest.mark.parametrize(
    ("error", "code", "retry"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), "device_error", True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "device_error", True),
        (RuntimeError("NCCL Error 2: unhandled system error"), "device_error", True),
        (RuntimeError("shapes do not match"), "internal", False),
        (OSError(28, "No space left on device"), "disk_full", False),
        (MemoryError("no"), "out_of_memory", False),
    ],
)
def test_what_a_handler_raises_is_told_by_its_code(
    tmp_path: Path, error: Exception, code: JobErrorCode, retry: bool
) -> None:
    def work() -> str:
        raise error

    ours, theirs = pair(send_timeout_s=5)
    assert _speak(Channel(theirs), tmp_path, work) == 0
    message = ours.receive(5)
    assert message is not None
    assert message["code"] == code
    outcome = end(ExitStatus(0, None, None, 1), JobError.of(code, str(message["message"])))
    assert isinstance(outcome, Failed)
    assert outcome.retry is retry
