"""The dry run of `prune`: what would be cut, traced but not made."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from service.contract.prune import PruneSpec
from service.contract.specs import PlannedLayers, PlannedModel, PlanResult
from worker.engine.device import synchronizer
from worker.engine.measure.latency import Latency, measure_interleaved
from worker.engine.measure.macs import macs
from worker.engine.measure.size import parameters
from worker.engine.prune.pruner import StructuredPruner
from worker.handlers.common import Job, Outcome, model_facts
from worker.handlers.prune_run import PruneRun
from worker.handlers.prune_targets import Search


def plan_prune(job: Job, spec: PruneSpec) -> Outcome:
    """Trace the network and plan the first amount. Raises NotPrunable naming a layer."""
    data = job.data(spec.dataset)
    run = PruneRun(job, spec, data, job.start_from(spec.model, data))
    module, architecture = run.original.module, run.config.architecture
    run.check()
    pruner, amount = run.planner, _amount(job, run)
    left = pruner.estimate(amount)
    latencies = _quick_latencies(job, module, pruner.prune(amount).module, data.input_size)
    before = PlannedModel(
        role="model",
        architecture=architecture,
        parameters=parameters(module),
        macs=macs(module, data.input_size),
        latency_ms=latencies["model"].p50_ms,
    )
    layers: tuple[PlannedLayers, ...] = ()
    if isinstance(pruner, StructuredPruner):
        layers = tuple(
            PlannedLayers(
                layers=group.layers, channels_before=group.before, channels_after=group.after
            )
            for group in pruner.plan(amount).groups
        )
    after = PlannedModel(
        role="pruned",
        architecture=architecture,
        parameters=left.parameters,
        macs=left.macs,
        latency_ms=latencies["pruned"].p50_ms,
    )
    trained = spec.finetune.epochs if spec.finetune else 0
    epochs = run.epochs if run.epochs is not None else trained
    batch = spec.finetune.batch_size if spec.finetune else 1
    result = PlanResult(
        of="prune",
        models=(before, after),
        layers=layers,
        warnings=tuple(run.warnings),
        steps=epochs * -(-len(data.train) // batch),
        summary=_summary(before, after, epochs, job),
    )
    return Outcome(result, labels=data.labels)


def _amount(job: Job, run: PruneRun) -> float:
    """The first that is asked for; of a search, the smallest cut that is small enough. Raises
    `TargetNotReached`."""
    targets = run.spec.targets
    if targets is None:
        return run.spec.amounts[0]
    source = job.input(run.spec.model)
    before = model_facts(run.original, job.folder / source.folder, source.id, source.name)
    amount = Search(run, targets, before, run.planner).smallest
    run.warnings.append(
        f"planned is a cut of {amount:.3f}, the smallest that keeps the promises of size; the job "
        "goes on from there to those of latency and accuracy"
    )
    return amount


def _quick_latencies(
    job: Job, module: nn.Module, pruned: nn.Module, input_size: Sequence[int]
) -> dict[str, Latency]:
    example = torch.zeros(1, *input_size, device=job.device)

    def forward(network: nn.Module) -> Callable[[], Tensor]:
        ready = network.to(job.device).eval()

        def call() -> Tensor:
            with torch.inference_mode():
                logits: Tensor = ready(example)
                return logits

        return call

    with job.alone():
        return measure_interleaved(
            {"model": forward(module), "pruned": forward(pruned)},
            warmup_s=0.05,
            blocks=3,
            block_s=0.05,
            synchronize=synchronizer(job.device),
        )


def _summary(before: PlannedModel, after: PlannedModel, epochs: int, job: Job) -> str:
    fewer = [f"{before.parameters / max(after.parameters, 1):.2f}× fewer parameters that count"]
    if before.macs and after.macs and after.macs < before.macs:
        ratio = before.macs / after.macs
        fewer.append(f"{ratio:.2f}× fewer MACs, which bounds the speed-up")
    doing = f"{epochs} epochs of training" if epochs else "no training"
    return f"{' and '.join(fewer)}; {doing} on {job.device.type} in {job.precision}."
