"""The fine-tuning of a `quantize` job: with int8's rounding, and the original as teacher."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.contract.quantize import AwareFinetuneSpec
from service.contract.quantize_result import AwareTraining
from service.contract.training import TrainingSpec
from worker.channel_observer import epoch_read
from worker.engine.data.split import Data
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph
from worker.engine.prune.pruner import Pruned
from worker.engine.prune.repair import Mentor, finetune
from worker.engine.quantize.layers import Layer
from worker.engine.quantize.torchao import quant_aware
from worker.engine.train.loop import FitOutcome
from worker.handlers.common import Job
from worker.handlers.fits import Fits

if TYPE_CHECKING:
    from worker.engine.quantize.program import TorchaoQuantizer


@dataclass(frozen=True)
class AwareRun:
    """Trains what a quantizer calibrated, and makes one of the trained weights and ranges."""

    job: Job
    spec: AwareFinetuneSpec
    data: Data
    original: LoadedModel
    warn: Callable[[str], None]

    def improve(
        self, quantizer: "TorchaoQuantizer", ignored: tuple[Layer, ...]
    ) -> tuple["TorchaoQuantizer", AwareTraining]:
        """The better of the two on the validation split, and what the training did. Raises
        `Stopped` and all that a training raises."""
        self.job.observer.on_phase("training")
        tuned, outcome = self._tuned(quantizer, ignored)
        before, after = (self._graph(one, ignored) for one in (quantizer, tuned))
        was, now = (self.job.evaluate(one, self.data.validation)[0] for one in (before, after))
        is_kept = now.accuracy >= was.accuracy
        if not is_kept:
            self.warn("Fine-tuning made validation accuracy worse: the weights before it are kept")
        test, _ = self.job.evaluate(before, self.data.test)
        told = AwareTraining(
            before=was,
            after=now,
            test_before=test,
            is_kept=is_kept,
            history=tuple(map(epoch_read, outcome.history)),
            best_epoch=outcome.best_epoch,
            training_s=outcome.training_s,
        )
        return (tuned if is_kept else quantizer), told

    def _tuned(
        self, quantizer: "TorchaoQuantizer", ignored: tuple[Layer, ...]
    ) -> tuple["TorchaoQuantizer", FitOutcome]:
        aware = quant_aware(
            self.original.module,
            quantizer.example,
            quantizer.takes(ignored),
            quantizer.ranges,
            freeze_after=self.spec.freeze_after,
        )
        training = TrainingSpec.model_validate(
            {name: getattr(self.spec, name) for name in TrainingSpec.model_fields}
        )
        options = self.job.fit_options(training)
        options["precision"] = "fp32"  # rounding to int8 is of float32
        options["on_epoch_start"] = aware.start_epoch
        mean, std = self.original.config.mean, self.original.config.std
        outcome = Fits(self.job, training.epochs).run(
            aware,
            {"purpose": "quantization-aware", "finetune": self.spec.model_dump(mode="json")},
            options,
            lambda own: finetune(
                Pruned(aware), self._mentor(), self.data, mean=mean, std=std, **own
            ),
        )
        for warning in outcome.warnings:
            self.warn(warning)
        return quantizer.of_trained(aware.trained(), aware.ranges()), outcome

    def _mentor(self) -> Mentor | None:
        if self.spec.teacher == "none":
            return None
        # A copy: a teacher is frozen where it stands.
        before = copy.deepcopy(self.original.module)
        return Mentor(before, self.spec.temperature, self.spec.alpha)

    def _graph(self, quantizer: "TorchaoQuantizer", ignored: tuple[Layer, ...]) -> LoadedModel:
        return LoadedModel(Graph(quantizer.all_but(ignored)), self.original.config)
