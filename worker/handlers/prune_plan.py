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
from worker.handlers.common import Job, Outcome
from worker.handlers.prune_run import PruneRun


def plan_prune(job: Job, spec: PruneSpec) -> Outcome:
    """Trace the network and plan the first amount. Raises NotPrunable naming a layer."""
    data = job.data(spec.dataset)
    run = PruneRun(job, spec, data, job.start_from(spec.model, data))
    module, architecture = run.original.module, run.config.architecture
    amount = run.amounts(spec.amounts[0])[-1]
    pruner = run.pruner
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
    between = spec.schedule.epochs_per_step * (len(run.amounts(amount)) - 1) if trained else 0
    batch = spec.finetune.batch_size if spec.finetune else 1
    result = PlanResult(
        of="prune",
        models=(before, after),
        layers=layers,
        steps=(trained + between) * -(-len(data.train) // batch),
        summary=_summary(before, after, trained + between, job),
    )
    return Outcome(result, labels=data.labels)


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
