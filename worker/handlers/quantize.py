"""`quantize`: spec -> engine -> result."""

from dataclasses import replace
from importlib.metadata import version
from typing import Any

from service.contract.prune_result import TargetResult
from service.contract.quantize import QuantizeSpec
from service.contract.quantize_result import QuantizedLayer, QuantizeResult
from service.contract.training import ModelFacts
from service.reports.key_figures import key_figures
from service.reports.promises import missed_by
from worker.engine.errors import TargetNotReached
from worker.engine.export.onnx import with_metadata
from worker.engine.models.folder import load_any, save_graph
from worker.engine.models.graph import ARCHITECTURE
from worker.engine.quantize.fp8 import check_fp8
from worker.handlers.before_after import Judged, before_after
from worker.handlers.common import Job, Outcome, check_fits, data_facts, model_facts
from worker.handlers.quantize_latency import paired_graphs
from worker.handlers.quantize_run import Quantized, QuantizeRun
from worker.handlers.side_by_side import Saved
from worker.handlers.trained import MODEL, Trained, produced


def quantize(job: Job, spec: QuantizeSpec) -> Outcome:
    """Quantise, save, reload, and judge beside the original."""
    if spec.method.name == "static_fp8":
        check_fp8(job.device)
    data = job.data(spec.dataset)
    original, source = job.load(spec.model), job.input(spec.model)
    check_fits(original.config, data)
    before = model_facts(original, job.folder / source.folder, source.id, source.name)
    run = QuantizeRun(job, spec, data, original)
    made = run.make()
    trained = _save_and_judge(run, made, before)
    first_test, first_logits = job.evaluate(original, data.test)
    baseline = Judged(Saved.natural(job.folder / source.folder), before, first_test, first_logits)
    timed = paired_graphs(job, spec, run.content, original.config, baseline.saved)
    compared = before_after(job, baseline, trained.judged(job), timed.comparable, run.warnings)
    drop = 100 * (run.original_validation.accuracy - trained.validation.accuracy)
    result = QuantizeResult(
        model=job.order.model_id,
        method=spec.method.name,
        runtime=f"onnxruntime {version('onnxruntime')}",
        facts=trained.facts,
        original=before,
        float_bytes=len(run.content),
        size_ratio=compared.size_ratio,
        accuracy_retention=compared.accuracy_retention,
        accuracy_change_points=compared.accuracy_change_points,
        class_change_points=compared.class_change_points,
        agreement=compared.agreement,
        layers=_layers(run, made),
        calibration_samples=run.calibration_samples,
        latencies=timed.graphs,
        finetuning=run.finetuning,
        targets=_kept(spec, drop),
        validation=trained.validation,
        original_validation=run.original_validation,
        test=trained.test,
        original_test=first_test,
        data=trained.data,
        environment=job.environment("fp32"),
        seed=spec.seed,
        warnings=tuple(run.warnings),
        comparison=compared,
    )
    lineage = f"Quantised from {source.name} by {spec.method.name} on {spec.dataset}."
    model = produced(job, trained, key_figures(result), source, lineage)
    return Outcome(result, model.model_copy(update={"form": "graph"}), original.config.labels)


def _save_and_judge(run: QuantizeRun, made: Quantized, before: ModelFacts) -> Trained:
    """Write the graph, read it back, and score what was read."""
    job, data, folder = run.job, run.data, run.job.folder / MODEL
    job.observer.on_phase("evaluating")
    step: dict[str, Any] = {
        "kind": "quantize",
        "method": run.spec.method.model_dump(mode="json"),
        "of": {"architecture": before.architecture, "model": before.model},
        "float_layers": [layer.name for layer in made.kept],
    }
    config = replace(
        run.original.config,
        architecture=ARCHITECTURE,
        options={},
        compression=(*run.original.config.compression, step),
    )
    facts = {"modelpress.job": job.order.job_id, "modelpress.sha256": before.sha256}
    save_graph(with_metadata(made.content, facts), config, folder, card="")
    loaded = load_any(folder)
    name = run.spec.name or f"{before.name}-{run.spec.method.name}"
    validation, _ = job.evaluate(loaded, data.validation)
    test, logits = job.evaluate(loaded, data.test)
    facts_after = model_facts(loaded, folder, job.order.model_id, name[:128])
    seen = data_facts(run.spec.dataset, data)
    return Trained(loaded, facts_after, seen, validation, test, logits)


def _layers(run: QuantizeRun, made: Quantized) -> tuple[QuantizedLayer, ...]:
    errors = {one.layer.name: one.error for one in run.sensitivities}
    quantized = {layer.name for layer in made.quantized}
    return tuple(
        QuantizedLayer(
            name=layer.name,
            operator=layer.operator,
            weights=layer.weights,
            is_quantized=layer.name in quantized,
            sensitivity=errors.get(layer.name),
        )
        for layer in run.layers
    )


def _kept(spec: QuantizeSpec, drop: float) -> tuple[TargetResult, ...]:
    """The promise beside what the saved graph has. Raises `TargetNotReached` if it is broken."""
    if spec.targets is None:
        return ()
    asked = spec.targets.max_accuracy_drop_points
    if missed_by("max_accuracy_drop_points", asked, drop) is not None:
        raise TargetNotReached(
            f"max_accuracy_drop_points {asked:g}: {drop:.2f} points of validation accuracy are lost"
        )
    return (TargetResult(name="max_accuracy_drop_points", asked=asked, reached=drop),)
