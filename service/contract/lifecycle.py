"""The life of a job: its states and every legal move between them.

docs/job-states.md draws this table; a test holds the drawing against it.
"""

from typing import Final, Literal, get_args

JobStatus = Literal[
    "queued", "running", "cancelling", "pausing", "paused", "succeeded", "failed", "cancelled"
]

STATUSES: Final[tuple[JobStatus, ...]] = get_args(JobStatus)

MOVES: Final[dict[JobStatus, frozenset[JobStatus]]] = {
    # failed: a job it waits for did not succeed
    "queued": frozenset({"running", "paused", "cancelled", "failed"}),
    # queued: the lease lapsed, or the worker drained
    "running": frozenset({"succeeded", "failed", "queued", "cancelling", "pausing"}),
    # succeeded: the finish committed before the cancel was read
    "cancelling": frozenset({"cancelled", "succeeded"}),
    "pausing": frozenset({"paused", "cancelling", "failed", "succeeded"}),
    "paused": frozenset({"queued", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

TERMINAL: Final[frozenset[JobStatus]] = frozenset(s for s, to in MOVES.items() if not to)
LEASED: Final[frozenset[JobStatus]] = frozenset({"running", "cancelling", "pausing"})
"""States in which a worker holds the job."""


def sources_of(target: JobStatus) -> frozenset[JobStatus]:
    """The states from which a job may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)
