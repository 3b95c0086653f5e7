"""Waiting for a worker to look inside an upload."""

import time
from collections.abc import Callable
from typing import Final

from service.contract.base import CheckStatus

_FIRST_S: Final = 0.05
_LONGEST_S: Final = 1.0


def settled(look: Callable[[], CheckStatus], status: CheckStatus, timeout_s: float) -> CheckStatus:
    """Look until the status is no longer `checking`, or the time is up; the last status seen."""
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_S
    while status == "checking" and (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, _LONGEST_S)
        status = look()
    return status
