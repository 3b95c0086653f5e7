"""`prune`: spec -> engine -> result."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from service.contract.before_after import ComparedLatency
from service.contract.prune import PruneSpec
from service.contract.prune_result import (
    LayerResult,
    PruneResult,
    SensitivityCurve,
    StageResult,
    TargetResult,
)
from service.contract.training import ModelFacts
from service.reports.key_figures import key_figures
from worker.channel_observer import epoch_read
from worker.engine.measure.size import smallest_bytes
from worker.engine.models.folder import WEIGHTS, LoadedModel
from worker.engine.prune.layers import layer_facts
from worker.engine.prune.pruner import StructuredPruner
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS, save_sparse
from worker.handlers.before_after import Judged, before_after, paired
from worker.handlers.common import Job, Outcome, model_facts
from worker.handlers.prune_latency import as_pairs
from worker.handlers.prune_run import Candidate, PruneRun, with_weights
from worker.handlers.prune_sensitivity import measured_sensitivity
from worker.handlers.prune_sweep import sweep
from worker.handlers.prune_targets import Search, verified
from worker.handlers.side_by_side import Saved
from worker.handlers.trained import MODEL, Trained, produced, save_and_judge


def prune(job: Job, spec: PruneSpec) -> Outcome:
    """Prune, repair, save, reload, and judge beside the original."""
    data = job.data(spec.dataset)
    original = job.start_from(spec.model, data)
    run = PruneRun(job, spec, data, original)
    source = job.input(spec.model)
    before = model_facts(original, job.folder / source.folder, source.id, source.name)
    run.check()
    search = None if spec.targets is None else Search(run, spec.targets, before, run.pruner)
    swept = sweep(run) if spec.is_sweep else None
    if search is not None:
        made = search.find()
    elif swept is not None:
        made = swept.candidates[swept.kept]
    else:
        made = run.make(spec.amounts[0])
    config = run.config_after(made.amount, made.cuts)
    trained = save_and_judge(job, LoadedModel(made.module, config), data, spec.dataset)
    judged = _Judged(run, made, trained, before, _save_sparse(job.folder / MODEL))
    result = PruneResult(
        **judged.fields(),
        **judged.ratios(),
        sweep=() if swept is None else swept.points(),
        targets=() if search is None else judged.promises(search),
    )
    lineage = f"Pruned from {source.name} on {spec.dataset}."
    model = produced(job, trained, key_figures(result), source, lineage)
    return Outcome(result, model, config.labels, measured_sensitivity(job, run.pruner))


@dataclass(frozen=True)
class _Judged:
    """Everything that the result tells of."""

    run: PruneRun
    made: Candidate
    trained: Trained
    before: ModelFacts
    sparse_bytes: int | None

    def fields(self) -> dict[str, Any]:
        """What was done and measured."""
        job, made, trained = self.run.job, self.made, self.trained
        outcome = made.outcome
        return {
            "model": job.order.model_id,
            "facts": trained.facts,
            "original": self.before,
            "amount": made.amount,
            "sparse_bytes": self.sparse_bytes,
            "stages": self._stages(),
            "steps": made.steps,
            "layers": _layers(self.run.original, trained.loaded),
            "latencies": as_pairs(self.latencies),
            "sensitivity": _sensitivity(self.run),
            "history": () if outcome is None else tuple(map(epoch_read, outcome.history)),
            "best_epoch": None if outcome is None else outcome.best_epoch,
            "training_s": sum(one.training_s for one in made.outcomes),
            "validation": trained.validation,
            "test": trained.test,
            "data": trained.data,
            "environment": job.environment(None if outcome is None else outcome.precision),
            "seed": self.run.spec.seed,
        }

    @cached_property
    def latencies(self) -> tuple[ComparedLatency, ...]:
        """Before and after, side by side, also where a target is of a latency."""
        sizes = self.run.spec.latency_batch_sizes
        targets = self.run.spec.targets
        if targets is not None and (targets.latency_ms or targets.min_speedup):
            sizes = tuple(dict.fromkeys((*sizes, targets.batch_size)))
        after = self.trained.judged(self.run.job)
        return paired(self.run.job, Saved.natural(self._original_folder), after.saved, sizes)

    @property
    def _original_folder(self) -> Path:
        job = self.run.job
        return job.folder / job.input(self.run.spec.model).folder

    def promises(self, search: Search) -> tuple[TargetResult, ...]:
        """The targets as the saved model keeps them. Raises TargetNotReached."""
        accuracy = self.trained.validation.accuracy
        facts = self.trained.facts
        stored = smallest_bytes(self.run.job.folder / MODEL)
        return verified(search, facts, stored, accuracy, as_pairs(self.latencies))

    def ratios(self) -> dict[str, Any]:
        """The pruned model against the original, and what there is to warn of."""
        run = self.run
        first, logits = run.job.evaluate(run.original, run.data.test)
        original = Judged(Saved.natural(self._original_folder), self.before, first, logits)
        pruned = self.trained.judged(run.job)
        found = before_after(run.job, original, pruned, self.latencies, run.warnings)
        return {
            "original_test": first,
            "compression_ratio": found.compression_ratio,
            "nonzero_compression_ratio": found.nonzero_compression_ratio,
            "macs_ratio": found.macs_ratio,
            "size_ratio": found.size_ratio,
            "accuracy_retention": found.accuracy_retention,
            "accuracy_change_points": found.accuracy_change_points,
            "class_change_points": found.class_change_points,
            "comparison": found,
            "warnings": tuple(run.warnings),
        }

    def _stages(self) -> tuple[StageResult, ...]:
        run, made, trained = self.run, self.made, self.trained
        stages = [_stage(run, "original", run.original)]
        for name, weights in made.stages.items():
            module = with_weights(trained.loaded.module, weights)
            stages.append(_stage(run, name, LoadedModel(module, trained.loaded.config)))
        if made.is_finetuned:
            stages.append(_stage(run, "finetuned", trained.loaded))
        return tuple(stages)


def _stage(run: PruneRun, name: Any, loaded: LoadedModel) -> StageResult:
    validation, _ = run.job.evaluate(loaded, run.data.validation)
    test, _ = run.job.evaluate(loaded, run.data.test)
    return StageResult(stage=name, validation_accuracy=validation.accuracy, test=test)


def _save_sparse(folder: Path) -> int | None:
    path = folder / SPARSE_WEIGHTS
    if not save_sparse(load_file(folder / WEIGHTS), path):
        return None
    if path.stat().st_size >= (folder / WEIGHTS).stat().st_size:
        path.unlink()
        return None
    return path.stat().st_size


def _layers(before: LoadedModel, after: LoadedModel) -> tuple[LayerResult, ...]:
    size = before.config.input_size
    device = next(before.module.parameters()).device
    now = {facts.name: facts for facts in layer_facts(after.module.to(device), size)}
    rows = []
    for was in layer_facts(before.module, size):
        left = now[was.name]
        rows.append(
            LayerResult(
                name=was.name,
                weights=was.weights,
                weights_after=left.weights,
                zeros=left.zeros,
                sparsity=1 - (left.weights - left.zeros) / was.weights,
                channels_before=was.outputs,
                channels_after=left.outputs,
                macs=was.macs,
                macs_after=left.macs,
            )
        )
    return tuple(rows)


def _sensitivity(run: PruneRun) -> Sequence[SensitivityCurve]:
    pruner = run.pruner
    if not isinstance(pruner, StructuredPruner) or pruner.sensitivity is None:
        return ()
    return tuple(
        SensitivityCurve(layer=one.name, ratios=one.ratios, accuracies=one.accuracies)
        for one in pruner.sensitivity
    )
