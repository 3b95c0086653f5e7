"""What quantising a public ResNet-20 costs and gains on CIFAR-10, each against its float graph."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import torch

from benchmarks import real_data
from benchmarks.figures import Options, Report
from worker.engine.data.split import Data, Split
from worker.engine.device import has_int8_products
from worker.engine.export.onnx import onnx_of
from worker.engine.measure.latency import measure_interleaved, speedup
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph
from worker.engine.prune.pruner import Pruned
from worker.engine.prune.repair import Mentor, finetune
from worker.engine.quantize.calibration import Array, calibration_batches
from worker.engine.quantize.integer import StaticQuantizer
from worker.engine.quantize.methods import UNCALIBRATED, graph_layers, stripped
from worker.engine.quantize.torchao import quant_aware, torchao_tool
from worker.engine.train.evaluate import evaluate

_SAMPLES: Final = 512
_WEIGHTS_BYTES: Final = 1_092_624  # of the model's safetensors
_INT8: Final = ("static_int8", "torchao", "aware")  # the tool of ONNX Runtime, and two more
_LEAST_SPEEDUP: Final = {1: 1.7, 32: 1.25}


def run(options: Options) -> Report:
    """All 10,000 test images; training with the rounding of int8 is short on `quick`."""
    report = Report()
    if not real_data.there():
        report.skip("everything", real_data.MISSING)
        return report
    train, test = real_data.cifar10()
    config = real_data.resnet20_config()
    content = stripped(onnx_of(LoadedModel(real_data.resnet20(), config)))
    batches = calibration_batches(
        train, config.mean, config.std, samples=_SAMPLES, seed=options.seed
    )
    graphs = {"float32": content, "static_int8": _static(content, batches)}
    graphs["torchao"], graphs["aware"] = _torchao(content, batches, train, options)
    for name, quantise in UNCALIBRATED.items():
        graphs[name] = stripped(quantise(content, graph_layers(content)))
    report.told("images", len(test), "images")
    report.told("the processor has VNNI", has_int8_products(), "")
    _accuracies(report, graphs, test)
    for name, graph in graphs.items():
        size = len(graph) / _WEIGHTS_BYTES
        if name in _INT8:
            report.at_most(f"{name}: size ÷ model.safetensors", size, "ratio", 0.31, "≤ 0.31")
        else:
            report.told(f"{name}: size ÷ model.safetensors", size, "ratio")
    for batch_size in _LEAST_SPEEDUP:
        _latencies(report, graphs, batch_size, options)
    return report


def _static(content: bytes, batches: Sequence[Array]) -> bytes:
    with StaticQuantizer(content, batches, "minmax") as quantizer:
        return stripped(quantizer.all_but(()))


def _torchao(
    content: bytes, batches: Sequence[Array], train: Split, options: Options
) -> tuple[bytes, bytes]:
    """int8 by torchao, and again after training with the rounding on 45,000 images, of which the
    last 5,000 are left to select; on the budget `quick` on 1,024 and 512."""
    module, config = real_data.resnet20(), real_data.resnet20_config()
    quantizer = torchao_tool(module, content, batches)
    aware = quant_aware(
        module, quantizer.example, quantizer.takes(()), quantizer.ranges, freeze_after=0.5
    )
    many, few, epochs = (45_000, 5_000, 2) if options.budget == "full" else (1_024, 512, 1)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(options.seed))
    held = train.take(order[many : many + few])
    finetune(
        Pruned(aware),
        Mentor(real_data.resnet20()),
        Data.of(train.take(order[:many]), held, held),
        mean=config.mean,
        std=config.std,
        epochs=epochs,
        learning_rate=1e-4,
        seed=options.seed,
        device="cpu",
        precision="fp32",
        on_epoch_start=aware.start_epoch,
    )
    tuned = quantizer.of_trained(aware.trained(), aware.ranges())
    return stripped(quantizer.all_but(())), stripped(tuned.all_but(()))


def _accuracies(report: Report, graphs: dict[str, bytes], test: Split) -> None:
    config = real_data.resnet20_config()
    base = None
    for name, graph in graphs.items():
        accuracy = evaluate(Graph(graph), test, config.mean, config.std).accuracy
        sys.stdout.write(f"{name:18} {accuracy:.4f}\n")
        report.told(f"{name}: test accuracy", accuracy, "share")
        base = accuracy if base is None else base
        if name in _INT8:
            drop = 100 * (base - accuracy)
            report.at_most(f"{name}: accuracy drop", drop, "points", 0.3, "≤ 0.3")


def _latencies(report: Report, graphs: dict[str, bytes], batch_size: int, options: Options) -> None:
    draw = np.random.default_rng(options.seed)
    x = draw.standard_normal((batch_size, *real_data.IMAGE)).astype(np.float32)
    loaded = {name: Graph(graph) for name, graph in graphs.items()}
    timed = measure_interleaved({name: partial(graph.run, x) for name, graph in loaded.items()})
    for name, latency in timed.items():
        report.told(f"{name}: p50 at batch {batch_size}", latency.p50_ms, "ms")
        if name == "float32":
            continue
        ratio = speedup(timed["float32"], latency, options.seed).median
        said = f"{name}: speed against float32 at batch {batch_size}"
        if name in _INT8:
            least = _LEAST_SPEEDUP[batch_size]
            report.at_least(said, ratio, "ratio", least, f"≥ {least}")
        else:
            report.told(said, ratio, "ratio")
