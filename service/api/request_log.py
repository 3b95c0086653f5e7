"""One line of the log for each request that changes something or does not succeed."""

import logging
from typing import Final

from service.audit import Operation

log = logging.getLogger(__name__)

_READS: Final = ("GET", "HEAD", "OPTIONS")


def note(method: str, route: str, status: int, seconds: float, operation: Operation) -> None:
    """`route` is a template: an address may hold what its sender wants to keep. Reads that succeed
    are told at level debug."""
    level = logging.DEBUG if method in _READS and status < 400 else logging.INFO
    if log.isEnabledFor(level):
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "action": operation.action,
            "target": operation.target,
        }
        told = {name: value for name, value in fields.items() if value is not None}
        log.log(level, "answered", extra=told)
