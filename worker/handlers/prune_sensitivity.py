"""A sensitivity scan as a file: what one job measured, another reads."""

import json
from dataclasses import asdict

from worker.engine.prune.adaptive import Sensitivity
from worker.engine.prune.pruner import Pruner, StructuredPruner
from worker.handlers.common import Job
from worker.order import SENSITIVITY, ProducedFile


def known_sensitivity(job: Job) -> tuple[Sensitivity, ...] | None:
    """What an earlier job measured; None where nothing is known."""
    known = job.order.sensitivity
    if known is None or known.path is None:
        return None
    curves = json.loads((job.folder / known.path).read_text(encoding="utf-8"))
    return tuple(
        Sensitivity(
            name=one["name"],
            ratios=tuple(one["ratios"]),
            accuracies=tuple(one["accuracies"]),
            losses=tuple(one["losses"]),
            macs=tuple(one["macs"]),
        )
        for one in curves
    )


def measured_sensitivity(job: Job, pruner: Pruner) -> tuple[ProducedFile, ...]:
    """The file of a scan that was not there before the job."""
    known = job.order.sensitivity
    if known is None or known.path is not None or not isinstance(pruner, StructuredPruner):
        return ()
    curves = [asdict(one) for one in pruner.sensitivity or ()]
    (job.folder / known.name).write_text(json.dumps(curves), encoding="utf-8")
    return (
        ProducedFile(
            name=known.name, kind=SENSITIVITY, media_type="application/json", path=known.name
        ),
    )
