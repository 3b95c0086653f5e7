"""The dry run of `export`: which formats this worker would write."""

from service.contract.export import ExportSpec
from service.contract.specs import PlannedModel, PlanResult
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.handlers.common import Job, Outcome


def plan_export(job: Job, spec: ExportSpec) -> Outcome:
    """Load the model, write nothing."""
    loaded = job.load(spec.model)
    planned = PlannedModel(
        role="model",
        architecture=loaded.config.architecture,
        parameters=parameters(loaded.module),
        macs=macs(loaded.module, loaded.config.input_size),
    )
    compared = (
        "random inputs" if spec.dataset is None else f"the validation split of {spec.dataset}"
    )
    summary = f"{', '.join(spec.formats)}, each compared on {compared}."
    result = PlanResult(of="export", models=(planned,), steps=len(spec.formats), summary=summary)
    return Outcome(result, labels=loaded.config.labels)
