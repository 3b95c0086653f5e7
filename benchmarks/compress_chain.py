"""What a whole chain gains on CIFAR-10: half of the channels, taught by the original, then int8.

`cnn_teacher` is trained, cut, taught and quantised here. The original in PyTorch and the graph in
ONNX Runtime then take turns, a process each, on their saved files.
"""

import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch

from benchmarks import real_data
from benchmarks.figures import Options, Report
from benchmarks.lessons import cifar10_subset
from worker.engine.data.split import Data, Split
from worker.engine.export.onnx import onnx_of
from worker.engine.measure.conductor import Timed, contest
from worker.engine.measure.contestant import Conditions, Entry
from worker.engine.measure.latency import speedup
from worker.engine.measure.size import size_bytes
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import (
    LoadedModel,
    build,
    load_any,
    load_folder,
    save_folder,
    save_graph,
)
from worker.engine.models.graph import ARCHITECTURE as GRAPH
from worker.engine.prune.pruner import make_pruner
from worker.engine.prune.recipe import Recipe
from worker.engine.prune.repair import Mentor, finetune
from worker.engine.quantize.calibration import calibration_batches
from worker.engine.quantize.integer import StaticQuantizer
from worker.engine.quantize.methods import stripped
from worker.engine.seeds import seed_everything
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import fit
from worker.engine.train.settings import FitOptions
from worker.handlers.side_by_side import timing_environment

_AMOUNT: Final = 0.5
_ROUND_TO: Final = 8
_CALIBRATION: Final = 512
_EXECUTIONS: Final = 3
_LEAST_SPEEDUP: Final = 6.0
_MOST_BYTES: Final = 0.1
_FULL_VALIDATION: Final = 5_000
_CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class Budget:
    """How much is learnt and measured; speed and size do not depend on the former."""

    train: int | None
    """Images to learn from; None: all of them."""
    epochs: int
    repair_epochs: int
    test: int
    blocks: int


BUDGETS: Final = {
    "quick": Budget(train=5_000, epochs=3, repair_epochs=2, test=2_000, blocks=10),
    "full": Budget(train=None, epochs=15, repair_epochs=15, test=10_000, blocks=40),
}


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    if not real_data.there():
        report.skip("everything", real_data.MISSING)
        return report
    with tempfile.TemporaryDirectory() as name:
        chain(report, Path(name), BUDGETS[options.budget], options.seed)
    return report


def chain(report: Report, folder: Path, budget: Budget, seed: int) -> None:
    """The steps, each judged on the file that it saved."""
    data, config = _data(budget), real_data.resnet20_config("cnn_teacher")
    seed_everything(seed, deterministic=True)
    report.told("training images", float(len(data.train)), "images")
    judged = partial(_judge, report, data.test)
    save_folder(_train(data, config, budget, seed), config, folder / "original", card="")
    original = judged("original", folder / "original")
    save_folder(*_cut(load_folder(folder / "original"), data, budget, seed), folder / "cut", "")
    judged("half of the channels, taught by the original", folder / "cut")
    _quantize(load_folder(folder / "cut"), data, folder / "int8", seed)
    int8 = judged("and int8", folder / "int8")
    report.told("accuracy lost by the chain", 100 * (original - int8), "points")
    smaller = size_bytes(folder / "int8") / size_bytes(folder / "original")
    report.at_most("bytes, graph ÷ original", smaller, "share", _MOST_BYTES, f"≤ {_MOST_BYTES}")
    _time(report, folder, budget, seed)


def _data(budget: Budget) -> Data:
    if budget.train is None:
        everything, test = real_data.cifar10()
        order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(1))
        chosen, rest = order[:_FULL_VALIDATION], order[_FULL_VALIDATION:]
        train, validation = everything.take(rest), everything.take(chosen)
    else:
        subset = cifar10_subset()
        step = max(1, len(subset.train) // budget.train)  # its classes stand one after another
        train = subset.train.take(torch.arange(0, len(subset.train), step))
        validation, test = subset.validation, subset.test
    return Data.of(train, validation, test.take(torch.arange(budget.test)))


def _train(data: Data, config: ModelConfig, budget: Budget, seed: int) -> torch.nn.Module:
    module = build(config)
    with _Told("train"):
        fit(module, data, mean=config.mean, std=config.std, **_learning(budget.epochs, seed))
    return module.to(_CPU).eval()


def _cut(
    original: LoadedModel, data: Data, budget: Budget, seed: int
) -> tuple[torch.nn.Module, ModelConfig]:
    """Half of the channels go; what is left learns on from the original."""
    config = original.config
    mean, std = config.mean, config.std
    recipe = Recipe(method="structured", importance="magnitude", round_to=_ROUND_TO)
    pruner = make_pruner(original.module, recipe, data, mean=mean, std=std, device=_CPU)
    pruned = pruner.prune(_AMOUNT)
    with _Told("teach what is left"):
        mentor = Mentor(original.module)
        finetune(pruned, mentor, data, mean=mean, std=std, **_learning(budget.repair_epochs, seed))
    step = {"kind": "prune", "cuts": [one.to_json() for one in pruned.cuts]}
    return pruned.module.to(_CPU).eval(), replace(config, compression=(step,))


def _quantize(cut: LoadedModel, data: Data, folder: Path, seed: int) -> None:
    config = cut.config
    batches = calibration_batches(
        data.train, config.mean, config.std, samples=_CALIBRATION, seed=seed
    )
    with StaticQuantizer(stripped(onnx_of(cut)), batches, "minmax") as quantizer:
        content = stripped(quantizer.all_but(()))
    save_graph(content, replace(config, architecture=GRAPH, options={}, compression=()), folder, "")


def _judge(report: Report, test: Split, name: str, folder: Path) -> float:
    loaded = load_any(folder)
    accuracy = evaluate(loaded.module, test, loaded.config.mean, loaded.config.std).accuracy
    report.told(f"{name}: test accuracy", accuracy, "share")
    report.told(f"{name}: bytes", float(size_bytes(folder)), "bytes")
    return accuracy


def _time(report: Report, folder: Path, budget: Budget, seed: int) -> None:
    """The cut network in PyTorch runs along: what of the gain is the cut's."""
    entries = [
        Entry("original", folder / "original", "eager"),
        Entry("cut", folder / "cut", "eager"),
        Entry("int8", folder / "int8", "onnxruntime"),
    ]
    conditions = Conditions(_CPU, len(os.sched_getaffinity(0)), timing_environment())
    batch_sizes = (1, 32)
    timed, skipped = contest(
        entries,
        conditions,
        batch_sizes=batch_sizes,
        warmup_s=0.5,
        blocks=budget.blocks,
        block_s=0.2,
        executions=_EXECUTIONS,
    )
    for left_out in skipped:
        report.skip(left_out.entry.name, left_out.reason)
    found = {one.entry.name: one for one in timed}
    for batch_size in batch_sizes:
        for one in timed:
            latency = one.latencies[batch_size]
            where = f"{one.entry.name} in {one.entry.runtime}, batch {batch_size}"
            report.told(f"{where}: p50", latency.p50_ms, "ms")
            report.told(f"{where}: variation", latency.cv, "share")
        if found.keys() >= {"original", "cut", "int8"}:
            _speedups(report, found, batch_size, seed)


def _speedups(report: Report, found: dict[str, Timed], batch_size: int, seed: int) -> None:
    base = found["original"].latencies[batch_size]
    cut = speedup(base, found["cut"].latencies[batch_size], seed)
    report.told(f"the cut alone, in eager, batch {batch_size}: speed-up", cut.median, "×")
    whole = speedup(base, found["int8"].latencies[batch_size], seed)
    figure = f"the chain over the original in eager, batch {batch_size}: speed-up"
    if batch_size == 1:
        report.at_least(figure, whole.median, "×", _LEAST_SPEEDUP, f"≥ {_LEAST_SPEEDUP:g}×")
    else:
        report.told(figure, whole.median, "×")
    report.told(f"{figure}, lower end of 95 %", whole.low, "×")


def _learning(epochs: int, seed: int) -> FitOptions:
    return FitOptions(
        epochs=epochs,
        batch_size=64,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=5e-4,
        scheduler="one_cycle",
        warmup_share=0.2,
        max_grad_norm=5.0,
        augmentation="flip_and_crop",
        device="cpu",
        seed=seed,
    )


class _Told:
    """Says on the way how long a step took."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        sys.stdout.write(f"{self._step}: {time.monotonic() - self._started:.0f} s\n")
        sys.stdout.flush()
