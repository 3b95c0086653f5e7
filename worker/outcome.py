"""Decides what a child's end means for its job."""

import signal
from collections.abc import Callable

from service.contract.job_errors import JobError
from service.store.values import Cancelled, Failed, Outcome, Paused, Released, Succeeded
from worker.conversation import Ended
from worker.engine_child import ExitStatus


def outcome_of(ended: Ended, store: Callable[[], Succeeded]) -> Outcome | None:
    """What to write. None: the job is another run's now. `store` puts away what was made."""
    if ended.stop == "lost":
        return None
    if ended.said == "done":
        return store()  # finished first: a success, also when a cancel or a drain was under way
    if ended.said == "error":
        assert ended.error is not None
        # The process whose device failed is lost; a fresh one may well go on.
        return Failed(ended.error, retry=ended.error.code == "device_error")
    match ended.stop:
        case "cancel":
            return Cancelled()
        case "pause":
            return Paused()
        case "drain":
            return Released()
        case None:
            return _crash(ended.status)


def _crash(status: ExitStatus) -> Failed:
    """It ended without a word. A crash may not come again, so the attempt counts and is retried."""
    if status.killed_by == "deadline":
        return Failed(JobError.of("timeout", "the job ran longer than it may"))
    if status.killed_by == "memory":
        return Failed(JobError.of("out_of_memory", "the engine passed the worker's memory limit"))
    if status.signal is None:
        return Failed(
            JobError.of("engine_crashed", f"the engine exited with {status.code}"), retry=True
        )
    name = signal.Signals(status.signal).name
    reason = " (the kernel does this when memory runs out)" if name == "SIGKILL" else ""
    return Failed(
        JobError.of("engine_crashed", f"the engine was ended by {name}{reason}"), retry=True
    )
