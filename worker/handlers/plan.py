"""`dry_run`: what a job would do, without doing it."""

from typing import assert_never

from service.contract.specs import PlanResult
from service.contract.training import TrainingSpec
from worker.engine.data.split import Data
from worker.handlers.common import Job, Outcome, check_fits, planned
from worker.handlers.export_plan import plan_export
from worker.handlers.prune_plan import plan_prune


def plan(job: Job) -> Outcome:
    """Load everything the job would load, train and measure nothing."""
    spec = job.spec
    if spec.kind == "export":
        return plan_export(job, spec)
    data = job.data(spec.dataset)
    match spec.kind:
        case "train":
            models = {"model": job.start_from(spec.model, data)}
            steps = _steps(spec.training, data)
            summary = f"{spec.training.epochs} epochs of {len(data.train)} examples"
        case "distill":
            named = [teacher.model for teacher in spec.all_teachers]
            roles = ["teacher", *(f"teacher {i + 2}" for i in range(len(named) - 1))]
            models = {
                role: job.load(reference) for role, reference in zip(roles, named, strict=True)
            }
            models["student"] = job.start_from(spec.student, data)
            steps = _steps(spec.training, data)
            summary = f"{spec.training.epochs} epochs of {len(data.train)} examples"
        case "prune":
            return plan_prune(job, spec)
        case "quantize":
            models = {"model": job.load(spec.model)}
            steps = 0 if spec.finetune is None else _steps(spec.finetune, data)
            trained = f" after {spec.finetune.epochs} epochs" if spec.finetune else ""
            summary = f"{spec.method.name}{trained}, timed at batches {spec.latency_batch_sizes}"
        case "benchmark":
            models = {reference: job.load(reference) for reference in spec.models}
            steps = len(spec.models) * len(spec.runtimes) * len(spec.batch_sizes)
            summary = f"{steps} combinations, {spec.blocks} turns each"
        case _:
            assert_never(spec)
    for loaded in models.values():
        check_fits(loaded.config, data)
    result = PlanResult(
        of=spec.kind,
        models=tuple(planned(role, loaded) for role, loaded in models.items()),
        steps=steps,
        summary=f"{summary} on {job.device.type} in {job.precision}.",
    )
    return Outcome(result, labels=data.labels)


def _steps(training: TrainingSpec, data: Data) -> int:
    return training.epochs * -(-len(data.train) // training.batch_size)
