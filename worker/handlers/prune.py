"""`prune`: spec -> engine -> result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from service.contract.prune import PruneSpec
from service.contract.prune_result import (
    LayerResult,
    PruneResult,
    SensitivityCurve,
    StageResult,
)
from service.contract.training import ModelFacts
from service.reports.key_figures import key_figures
from worker.child import epoch_read
from worker.engine.models.folder import WEIGHTS, LoadedModel
from worker.engine.prune.layers import layer_facts
from worker.engine.prune.pruner import StructuredPruner
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS, save_sparse
from worker.handlers.common import Job, Outcome, model_facts
from worker.handlers.distill import retention
from worker.handlers.prune_latency import paired
from worker.handlers.prune_run import Candidate, PruneRun, with_weights
from worker.handlers.trained import MODEL, Trained, produced, save_and_judge


def prune(job: Job, spec: PruneSpec) -> Outcome:
    """Prune, repair, save, reload, and judge beside the original."""
    data = job.data(spec.dataset)
    original = job.start_from(spec.model, data)
    run = PruneRun(job, spec, data, original)
    made = run.make(spec.amounts[0])
    config = replace(
        original.config, compression=(*original.config.compression, *_steps(spec, made))
    )
    trained = save_and_judge(job, LoadedModel(made.module, config), data, spec.dataset)
    sparse = _save_sparse(job.folder / MODEL)
    source = job.input(spec.model)
    before = model_facts(original, job.folder / source.folder, source.id, source.name)
    judged = _Judged(run, made, trained, before, sparse)
    result = PruneResult(**judged.fields(), **judged.ratios())
    lineage = f"Pruned from {source.name} on {spec.dataset}."
    return Outcome(
        result, produced(job, trained, key_figures(result), source, lineage), config.labels
    )


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
            "latencies": paired(job, self.run.spec),
            "sensitivity": _sensitivity(self.run),
            "history": () if outcome is None else tuple(map(epoch_read, outcome.history)),
            "best_epoch": None if outcome is None else outcome.best_epoch,
            "training_s": sum(one.training_s for one in made.outcomes),
            "validation": trained.validation,
            "test": trained.test,
            "data": trained.data,
            "environment": job.environment(None if outcome is None else outcome.precision),
            "seed": self.run.spec.seed,
            "warnings": tuple(self.run.warnings),
        }

    def ratios(self) -> dict[str, Any]:
        """The pruned model against the original."""
        before, after, test = self.before, self.trained.facts, self.trained.test
        first, _ = self.run.job.evaluate(self.run.original, self.run.data.test)
        smallest = min(after.size_bytes, self.sparse_bytes or after.size_bytes)
        return {
            "original_test": first,
            "compression_ratio": before.parameters / after.parameters,
            "nonzero_compression_ratio": before.nonzero_parameters
            / max(after.nonzero_parameters, 1),
            "macs_ratio": before.macs / after.macs if before.macs and after.macs else None,
            "size_ratio": smallest / before.size_bytes,
            "accuracy_retention": retention(test.accuracy, first.accuracy),
            "accuracy_change_points": 100 * (test.accuracy - first.accuracy),
            "class_change_points": tuple(
                None if was is None or now is None else 100 * (now - was)
                for was, now in zip(first.per_class_accuracy, test.per_class_accuracy, strict=True)
            ),
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


def _steps(spec: PruneSpec, made: Candidate) -> list[dict[str, Any]]:
    """What config.json keeps: for every cut its indices; masks need none, their zeros are there."""
    method = spec.method.model_dump(mode="json", exclude_defaults=True) | {
        "name": spec.method.name,
        "amount": made.amount,
    }
    if not made.cuts:
        return [{"kind": "prune", "method": method}]
    return [
        {"kind": "prune", "method": method, "cuts": [cut.to_json() for cut in cuts]}
        for cuts in made.cuts
    ]


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
