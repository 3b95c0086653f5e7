"""Which jobs have something to say of some models."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy.orm import Session

from service.contract.specs import RESULTS, JobKind
from service.evidence.reading import FinishedJob, read
from service.evidence.values import Evidence
from service.store.errors import NotFound
from service.store.finished import finished_users
from service.store.jobs import JobStore
from service.store.tables import JobRow, ModelRow

_MOST_BENCHMARKS: Final = 32  # a request can name as many


def gather(
    session: Session, project: str, models: Sequence[ModelRow], named: Iterable[str] = ()
) -> Evidence:
    """What is known of `models`: from the benchmarks in `named`, from the jobs that made the
    models, and from the newest finished benchmarks of the project that name a model or the job of
    one. Benchmarks are few in all, the named first."""
    makers = [model.job_id for model in models if model.job_id is not None]
    subjects = [*(model.id for model in models), *makers]
    found = finished_users(session, project, subjects, "benchmark", _MOST_BENCHMARKS + 1)
    first = tuple(named)
    benchmarks = list(dict.fromkeys((*first, *found)))
    wanted = dict.fromkeys((*first, *makers, *benchmarks[:_MOST_BENCHMARKS]))
    parts = [read(job) for job_id in wanted if (job := _finished(session, project, job_id))]
    return Evidence.joined(parts, left_out=len(benchmarks[_MOST_BENCHMARKS:]))


def _finished(session: Session, project: str, job_id: str) -> FinishedJob | None:
    """A job with its result; None for one that is gone or has none."""
    try:
        row = JobStore(session).get(job_id, project)
    except NotFound:
        return None
    return finished_job(row)


def finished_job(row: JobRow) -> FinishedJob | None:
    """A job as evidence; None for one without a result."""
    if row.result is None or row.finished_at is None:
        return None
    return FinishedJob(
        id=row.id,
        kind=cast("JobKind", row.kind),
        name=row.name,
        finished_at=row.finished_at,
        precision=str(row.spec.get("precision", "auto")),
        result=RESULTS.validate_python(_without_samples(row.result)),
    )


def _without_samples(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Benchmarks of earlier releases have every sample in their result, which nobody here reads."""
    if result.get("kind") != "benchmark":
        return result
    models = [
        {**model, "latencies": [_sampleless(one) for one in model["latencies"]]}
        for model in result["models"]
    ]
    return {**result, "models": models}


def _sampleless(latency: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**latency, "samples_ms": []} if latency.get("samples_ms") else latency
