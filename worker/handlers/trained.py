"""What `train` and `distill` share after the last step: save, reload, judge, describe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from service.contract.normalisation import Normalisation
from service.contract.training import DataFacts, Evaluation, ModelFacts, SeedsSummary
from service.reports.build import reproduction
from service.reports.card import model_card
from worker.channel_observer import epoch_read
from worker.engine.data.split import Data
from worker.engine.models.folder import CARD, LoadedModel, load_folder, save_folder
from worker.handlers.before_after import Judged
from worker.handlers.campaign import Finished
from worker.handlers.common import Job, data_facts, model_facts
from worker.handlers.side_by_side import Saved
from worker.order import ModelInput, ProducedModel

MODEL: Final = "model"


@dataclass(frozen=True)
class Trained:
    """A model that was saved and reloaded, and what is known of it."""

    loaded: LoadedModel
    facts: ModelFacts
    data: DataFacts
    validation: Evaluation
    test: Evaluation
    test_logits: torch.Tensor

    def judged(self, job: Job) -> Judged:
        """As one side of a comparison."""
        saved = Saved.natural(job.folder / MODEL)
        return Judged(saved, self.facts, self.test, self.test_logits)

    def result_fields(
        self, job: Job, kept: Finished, seeds: SeedsSummary | None, warnings: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The fields of a `TrainedResult`; `warnings` come after those of the training itself."""
        outcome = kept.outcome
        return {
            "model": job.order.model_id,
            "facts": self.facts,
            "history": tuple(epoch_read(record) for record in outcome.history),
            "best_epoch": outcome.best_epoch,
            "steps": outcome.steps,
            "training_s": outcome.training_s,
            "images_per_s": outcome.images_per_s,
            "validation": self.validation,
            "test": self.test,
            "data": self.data,
            "environment": job.environment(outcome.precision),
            "seed": kept.leg.seed,
            "seeds": seeds,
            "warnings": (*outcome.warnings, *warnings),
        }


def save_and_judge(job: Job, trained: LoadedModel, data: Data, dataset: str) -> Trained:
    """Write the model, read it back, and score what was read: figures are of the artifact."""
    job.observer.on_phase("evaluating")
    folder = job.folder / MODEL
    name = job.spec.name or f"{trained.config.architecture}-{job.order.job_id[-6:].lower()}"
    save_folder(trained.module, trained.config, folder, card="")
    loaded = load_folder(folder)
    validation, _ = job.evaluate(loaded, data.validation)
    test, logits = job.evaluate(loaded, data.test)  # the one time that the test split is read
    return Trained(
        loaded=loaded,
        facts=model_facts(loaded, folder, job.order.model_id, name),
        data=data_facts(dataset, data),
        validation=validation,
        test=test,
        test_logits=logits,
    )


def produced(
    job: Job,
    trained: Trained,
    metrics: Mapping[str, float],
    parent: ModelInput | None,
    lineage: str,
) -> ProducedModel:
    """The model folder with its card, as the worker shall register it."""
    config, facts = trained.loaded.config, trained.facts
    card = model_card(
        name=facts.name,
        made_by=job.spec.kind,
        architecture=config.architecture,
        options=config.options,
        classes=config.classes,
        input_size=config.input_size,
        mean=config.mean,
        std=config.std,
        labels=config.labels,
        parameters=facts.parameters,
        macs=facts.macs,
        size_bytes=facts.size_bytes,
        dataset=trained.data.dataset,
        metrics=metrics,
        base=None if parent is None else parent.name,
        lineage=lineage,
        job_id=job.order.job_id,
        reproduction=reproduction(job.spec),
    )
    (job.folder / MODEL / CARD).write_text(card, encoding="utf-8")
    return ProducedModel(
        folder=MODEL,
        name=facts.name,
        architecture=config.architecture,
        options=dict(config.options),
        classes=config.classes,
        input_size=config.input_size,
        normalisation=Normalisation(mean=config.mean, std=config.std),
        labels=config.labels,
        parameters=facts.parameters,
        macs=facts.macs,
        parent=None if parent is None else parent.id,
    )
