"""`train`: spec -> engine -> result."""

from service.contract.train import TrainResult, TrainSpec
from service.reports.key_figures import key_figures
from worker.engine.train.loop import fit
from worker.handlers.common import Job, Outcome
from worker.handlers.trained import produced, save_and_judge


def train(job: Job, spec: TrainSpec) -> Outcome:
    """Train, keep the best epoch by validation, judge the saved file on the test split."""
    data = job.data(spec.dataset)
    model = job.start_from(spec.model, data)
    job.observer.on_phase("training")
    outcome = fit(
        model.module,
        data,
        mean=model.config.mean,
        std=model.config.std,
        **job.fit_options(spec.training),
    )
    trained = save_and_judge(job, model, data, spec.dataset)
    result = TrainResult(**trained.result_fields(job, outcome))
    parent = job.input(spec.model) if isinstance(spec.model, str) else None
    origin = f"Trained further from {parent.name}" if parent else "Trained from random weights"
    lineage = f"{origin} on {spec.dataset}."
    return Outcome(
        result,
        produced(job, trained, key_figures(result), parent, lineage),
        model.config.labels,
    )
