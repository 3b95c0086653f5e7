"""`train`: spec -> engine -> result."""

from collections.abc import Mapping

from torch import Tensor

from service.contract.train import TrainResult, TrainSpec
from service.reports.key_figures import key_figures
from worker.engine.errors import IncompatibleDataset
from worker.engine.models.folder import LoadedModel
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.settings import FitOptions
from worker.handlers.campaign import Campaign, Leg, best_student, summary
from worker.handlers.common import Job, Outcome
from worker.handlers.trained import produced, save_and_judge


def train(job: Job, spec: TrainSpec) -> Outcome:
    """Train, keep the best epoch by validation, judge the saved file on the test split."""
    data = job.data(spec.dataset)
    if without := int((data.train.y < 0).sum()):
        raise IncompatibleDataset(
            f"{without} training examples have no label",
            hint="Distil from a teacher: it says what it thinks of them.",
        )

    def run(
        leg: Leg, previous: Mapping[str, Tensor] | None, options: FitOptions
    ) -> tuple[LoadedModel, FitOutcome]:
        model = job.start_from(spec.model, data, leg.seed)
        mean, std = model.config.mean, model.config.std
        return model, fit(model.module, data, mean=mean, std=std, **options)

    legs = [Leg(seed) for seed in spec.all_seeds]
    finished = Campaign(job, legs, spec.training).run(data, run)
    kept = best_student(finished)
    model = job.start_from(spec.model, data, kept.leg.seed)
    model.module.load_state_dict(kept.kept_weights)
    trained = save_and_judge(job, model, data, spec.dataset)
    result = TrainResult(**trained.result_fields(job, kept, summary(finished)))
    parent = job.input(spec.model) if isinstance(spec.model, str) else None
    origin = f"Trained further from {parent.name}" if parent else "Trained from random weights"
    lineage = f"{origin} on {spec.dataset}."
    return Outcome(
        result,
        produced(job, trained, key_figures(result), parent, lineage),
        model.config.labels,
    )
