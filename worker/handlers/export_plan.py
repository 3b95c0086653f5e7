"""The dry run of `export`: which formats this worker would write."""

from service.contract.export import ExportSpec
from service.contract.specs import PlanResult
from worker.handlers.common import Job, Outcome, planned


def plan_export(job: Job, spec: ExportSpec) -> Outcome:
    """Load the model, write nothing."""
    loaded = job.load(spec.model)
    compared = (
        "random inputs" if spec.dataset is None else f"the validation split of {spec.dataset}"
    )
    summary = f"{', '.join(spec.formats)}, each compared on {compared}."
    result = PlanResult(
        of="export", models=(planned("model", loaded),), steps=len(spec.formats), summary=summary
    )
    return Outcome(result, labels=loaded.config.labels)
