"""`Prefer: wait=N` (RFC 7240)."""

import re
from typing import Final

MAX_WAIT_S: Final = 60.0
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?=$|[,;\s])")


def wait_seconds(prefer: str | None) -> float:
    """How long the client would wait; 0 where it says nothing. Never more than a minute."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0
