"""One file per kind: spec -> engine calls -> result. The only files that know both sides."""

from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from service.reports.build import build_report
from service.reports.key_figures import key_figures
from service.reports.render import render_all
from worker.device_lock import DeviceLock
from worker.engine.group import ALONE, Group
from worker.engine.observer import Observer
from worker.handlers.benchmark import benchmark
from worker.handlers.common import Job, Outcome
from worker.handlers.distill import distill
from worker.handlers.export import export
from worker.handlers.plan import plan
from worker.handlers.prune import prune
from worker.handlers.quantize import quantize
from worker.handlers.train import train
from worker.order import OUT, JobOrder, JobProduct, ProducedFile


def handle(
    order: JobOrder,
    folder: Path,
    observer: Observer,
    group: Group = ALONE,
    lock: DeviceLock | None = None,
) -> JobProduct:
    """Do what the order says; what is made lies in `folder`. `lock` is shared already."""
    job = Job(order, folder, observer, group, lock)
    outcome = _dispatch(job)
    observer.on_phase("reporting")
    return JobProduct(
        result=outcome.result,
        metrics=key_figures(outcome.result),
        model=outcome.model,
        files=(*_report(job, outcome), *outcome.files),
    )


def take_part(order: JobOrder, folder: Path, observer: Observer, group: Group) -> None:
    """Do the same in another process of the group, which needs no report of its own."""
    _dispatch(Job(order, folder, observer, group))


def _dispatch(job: Job) -> Outcome:
    spec = job.spec
    if spec.dry_run:
        return plan(job)
    match spec.kind:
        case "train":
            return train(job, spec)
        case "distill":
            return distill(job, spec)
        case "prune":
            return prune(job, spec)
        case "benchmark":
            return benchmark(job, spec)
        case "export":
            return export(job, spec)
        case "quantize":
            return quantize(job, spec)
        case _:
            assert_never(spec)


def _report(job: Job, outcome: Outcome) -> tuple[ProducedFile, ...]:
    report = build_report(
        job.spec,
        outcome.result,
        job_id=job.order.job_id,
        created_at=job.order.created_at,
        finished_at=datetime.now(UTC),
        labels=outcome.labels,
    )
    folder = job.folder / OUT
    folder.mkdir(exist_ok=True)
    return tuple(
        ProducedFile(
            name=file.name, kind=file.kind, media_type=file.media_type, path=f"{OUT}/{file.name}"
        )
        for file in render_all(report, folder)
    )
