"""What finished jobs have measured of models: read from their results, never run, never guessed."""

from service.evidence.gathering import finished_job, gather
from service.evidence.reading import FinishedJob, read
from service.evidence.values import (
    Agreement,
    Evidence,
    Place,
    Process,
    Ratio,
    Run,
    Score,
    Setting,
    Timing,
)

__all__ = [
    "Agreement",
    "Evidence",
    "FinishedJob",
    "Place",
    "Process",
    "Ratio",
    "Run",
    "Score",
    "Setting",
    "Timing",
    "finished_job",
    "gather",
    "read",
]
