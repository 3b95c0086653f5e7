"""From a spec and its result to a report."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from service.contract.benchmark import BenchmarkSpec
from service.contract.distill import DistillSpec
from service.contract.prune import PruneSpec
from service.contract.reports import Provenance, Report
from service.contract.specs import JobResult, JobSpec
from service.contract.train import TrainSpec
from service.contract.training import RepeatedSpec
from service.reports.benchmark import benchmark_body
from service.reports.body import Body
from service.reports.distill import distill_body
from service.reports.export import export_body
from service.reports.plan import plan_body
from service.reports.prune import prune_body
from service.reports.quantize import quantize_body
from service.reports.train import train_body


def build_report(
    spec: JobSpec,
    result: JobResult,
    *,
    job_id: str,
    created_at: datetime,
    finished_at: datetime,
    labels: Sequence[str] | None = None,
) -> Report:
    """The report of a job that has its result. `labels` names the classes, by index."""
    body = _body(spec, result, labels)
    return Report(
        title=spec.name or _title(result, body),
        kind=result.kind,
        of=spec.kind,
        job=job_id,
        created_at=created_at,
        finished_at=finished_at,
        headline=body.headline,
        highlights=body.highlights,
        notes=body.notes,
        tables=body.tables,
        charts=body.charts,
        provenance=Provenance(
            spec=spec,
            seed=spec.seed if result.kind == "plan" else result.seed,
            seeds=spec.all_seeds if isinstance(spec, RepeatedSpec) else (spec.seed,),
            data=None if result.kind == "plan" else result.data,
            environment=None if result.kind == "plan" else result.environment,
            lineage=body.lineage,
            reproduce=reproduction(spec),
        ),
    )


def _body(spec: JobSpec, result: JobResult, labels: Sequence[str] | None) -> Body:
    match result.kind:
        case "train":
            assert isinstance(spec, TrainSpec)
            return train_body(spec, result, labels)
        case "distill":
            assert isinstance(spec, DistillSpec)
            return distill_body(spec, result, labels)
        case "prune":
            assert isinstance(spec, PruneSpec)
            return prune_body(spec, result, labels)
        case "benchmark":
            assert isinstance(spec, BenchmarkSpec)
            return benchmark_body(result)
        case "export":
            return export_body(result)
        case "quantize":
            return quantize_body(result, labels)
        case "plan":
            return plan_body(result)
        case _:
            assert_never(result)


def _title(result: JobResult, body: Body) -> str:
    verbs = {
        "train": "Training",
        "distill": "Distillation",
        "prune": "Pruning",
        "benchmark": "Benchmark",
        "export": "Export",
        "quantize": "Quantisation",
    }
    return f"{verbs.get(result.kind, 'Dry run')}: {body.subject}"


def reproduction(spec: JobSpec) -> str:
    """A shell command that submits the spec again, quoted so that any name in it is harmless."""
    body = shlex.quote(spec.model_dump_json())
    return (
        'curl -X POST "$MODELPRESS_URL/v1/jobs" '
        '-H "Authorization: Bearer $MODELPRESS_KEY" '
        f'-H "Content-Type: application/json" --data-raw {body}'
    )
