"""What pruning costs somebody else's ResNet-20 on the whole of CIFAR-10's test images.

The public checkpoint and data of MODELPRESS_BENCH_DATA; a tenth of the training images, by class,
is validation and chooses epochs and allocations. Fine-tuning: SGD with momentum from 0.02 down a
cosine, flip-and-crop, the original as teacher. `quick` takes a few epochs of each, `full` twenty.
"""

import copy
import sys
import time
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from benchmarks import real_data
from benchmarks.figures import Options, Report
from benchmarks.real_data import IMAGE, MEAN, STD
from worker.engine.data.split import Data, Split, cut
from worker.engine.prune import adaptive
from worker.engine.prune.cuts import apply_cuts
from worker.engine.prune.importance import importance
from worker.engine.prune.masks import apply_masks, maskable, sparsity_of, weight_masks
from worker.engine.prune.pruner import Pruned
from worker.engine.prune.recalibrate import recalibrate
from worker.engine.prune.repair import Mentor, finetune
from worker.engine.prune.structured import Amount, Plan, Traced, choose, trace
from worker.engine.train.evaluate import evaluate

_CPU: Final = torch.device("cpu")
_EPOCHS: Final = {"quick": (5, 5, 8), "full": (20, 20, 20)}
_SPARSITY: Final = 0.691


@dataclass(frozen=True)
class _Bench:
    """The network, its data and where figures go."""

    report: Report
    data: Data
    original: nn.Module
    seed: int

    def accuracy(self, module: nn.Module, split: Split) -> float:
        """In percent."""
        return 100 * evaluate(module, split, MEAN, STD, device=_CPU).accuracy

    def repair(self, name: str, pruned: Pruned, epochs: int, target: float) -> None:
        """Tell of every stage, and judge the last."""
        self.report.told(f"{name}: as cut", self.accuracy(pruned.module, self.data.test), "%")
        recalibrate(pruned.module, self.data.train, MEAN, STD, device=_CPU, seed=self.seed)
        self.report.told(f"{name}: recalibrated", self.accuracy(pruned.module, self.data.test), "%")
        start = time.perf_counter()
        finetune(
            pruned,
            Mentor(copy.deepcopy(self.original)),
            self.data,
            mean=MEAN,
            std=STD,
            epochs=epochs,
            optimizer="sgd",
            learning_rate=0.02,
            weight_decay=5e-4,
            scheduler="cosine",
            augmentation="flip_and_crop",
            seed=self.seed,
            device="cpu",
        )
        minutes = (time.perf_counter() - start) / 60
        self.report.told(f"{name}: {epochs} epochs of fine-tuning took", minutes, "min")
        reached = self.accuracy(pruned.module, self.data.test)
        self.report.at_least(f"{name}: test accuracy", reached, "%", target, f"≥ {target} %")
        sys.stdout.write(f"{name}: {reached:.2f} % after {minutes:.1f} min\n")
        sys.stdout.flush()


def run(options: Options) -> Report:
    """Needs the machine for itself: an epoch takes a minute on two cores."""
    report = Report()
    if not real_data.there():
        report.skip("all", real_data.MISSING)
        return report
    bench = _Bench(report, _cifar10(), real_data.resnet20(), options.seed)
    report.told("ResNet-20 as published", bench.accuracy(bench.original, bench.data.test), "%")
    unstructured, light, heavy = _EPOCHS[options.budget]
    traced, curves, scores = _scanned(bench)
    _allocations(bench, traced, curves, scores)
    _zeros(bench, unstructured)
    for factor, epochs, target in ((1.37, light, 91.3), (2.0, heavy, 90.6)):
        made = _planned(traced, curves, scores, factor)
        module = copy.deepcopy(bench.original)
        apply_cuts(module, made.cuts)
        report.told(f"structured ÷ {factor}: MACs before ÷ after", traced.macs / made.macs, "×")
        bench.repair(f"structured, MACs ÷ {factor}", Pruned(module, made.cuts), epochs, target)
    return report


def _zeros(bench: _Bench, epochs: int) -> None:
    module = copy.deepcopy(bench.original)
    names = maskable(module)
    masks = weight_masks(module, names, _SPARSITY)
    apply_masks(module, masks)
    pruned = Pruned(module, masks=masks)
    bench.repair(f"unstructured, {_SPARSITY:.1%} zeros", pruned, epochs, 91.6)
    share = sparsity_of(module, names)
    bench.report.at_least(
        "unstructured: share of zeros", share, "share", _SPARSITY - 1e-3, "0.691 to 1e-3"
    )


def _scanned(
    bench: _Bench,
) -> tuple[Traced, tuple[adaptive.Sensitivity, ...], tuple[torch.Tensor, ...]]:
    traced = trace(bench.original, IMAGE)
    scores = importance(bench.original, traced.groups, "magnitude")
    start = time.perf_counter()
    curves = adaptive.scan(
        bench.original, traced, scores, bench.data.validation, mean=MEAN, std=STD, device=_CPU
    )
    bench.report.told("sensitivity scan", time.perf_counter() - start, "s")
    return traced, curves, scores


def _planned(
    traced: Traced,
    curves: tuple[adaptive.Sensitivity, ...],
    scores: tuple[torch.Tensor, ...],
    factor: float,
) -> Plan:
    limits = Amount(0.5, max_pruning_ratio=0.9)
    return adaptive.plan(traced, scores, curves, limits, int(traced.macs / factor))


def _allocations(
    bench: _Bench,
    traced: Traced,
    curves: tuple[adaptive.Sensitivity, ...],
    scores: tuple[torch.Tensor, ...],
) -> None:
    """Adaptive against uniform at half of the MACs, recalibrated, before any training."""
    plans = {"adaptive": _planned(traced, curves, scores, 2.0), "uniform": _uniform(traced, scores)}
    reached = {}
    for name, plan in plans.items():
        module = copy.deepcopy(bench.original)
        apply_cuts(module, plan.cuts)
        bench.report.told(f"{name} ÷ 2: MACs before ÷ after", traced.macs / plan.macs, "×")
        told = bench.accuracy(module, bench.data.test)
        bench.report.told(f"{name} ÷ 2: as cut", told, "%")
        recalibrate(module, bench.data.train, MEAN, STD, device=_CPU, seed=bench.seed)
        reached[name] = bench.accuracy(module, bench.data.test)
        bench.report.told(f"{name} ÷ 2: recalibrated", reached[name], "%")
    gained = reached["adaptive"] - reached["uniform"]
    bench.report.at_least(
        "adaptive − uniform at MACs ÷ 2, before fine-tuning", gained, "points", 10.0, "≥ 10 points"
    )


def _uniform(traced: Traced, scores: tuple[torch.Tensor, ...]) -> Plan:
    """The smallest uniform ratio that halves the MACs."""
    for ratio in (number / 64 for number in range(8, 48)):
        kept = choose(traced, scores, Amount(ratio))
        if traced.about_macs(kept) <= traced.macs / 2:
            return traced.plan(kept)
    raise AssertionError("three quarters of the channels hold more than half of the MACs")


def _cifar10() -> Data:
    everything, test = real_data.cifar10()
    train, validation = cut(everything, 0.1, seed=0)
    return Data.of(train, validation, test)
