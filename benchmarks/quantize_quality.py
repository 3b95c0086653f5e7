"""What quantising a public ResNet-20 costs and gains on CIFAR-10, each against its float graph."""

import sys
from functools import partial
from typing import Final

import numpy as np
import torch

from benchmarks import real_data
from benchmarks.figures import Options, Report
from worker.engine.data.split import Split
from worker.engine.device import has_int8_products
from worker.engine.export.onnx import onnx_of
from worker.engine.measure.latency import measure_interleaved, speedup
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph
from worker.engine.quantize.calibration import calibration_batches
from worker.engine.quantize.integer import StaticQuantizer
from worker.engine.quantize.methods import UNCALIBRATED, graph_layers, stripped
from worker.engine.train.evaluate import evaluate

_SAMPLES: Final = 512
_WEIGHTS_BYTES: Final = 1_092_624  # of the model's safetensors
_LEAST_SPEEDUP: Final = {1: 1.7, 32: 1.25}


def run(options: Options) -> Report:
    """All 10,000 test images on the budget `full`, 2,000 on `quick`."""
    report = Report()
    if not real_data.there():
        report.skip("everything", real_data.MISSING)
        return report
    train, test = real_data.cifar10()
    if options.budget == "quick":
        test = test.take(torch.arange(2000))
    config = real_data.resnet20_config()
    content = stripped(onnx_of(LoadedModel(real_data.resnet20(), config)))
    graphs = {"float32": content, "static_int8": _static(content, train, options.seed)}
    for name, quantise in UNCALIBRATED.items():
        graphs[name] = stripped(quantise(content, graph_layers(content)))
    report.told("images", len(test), "images")
    report.told("the processor has VNNI", has_int8_products(), "")
    _accuracies(report, graphs, test)
    for name, graph in graphs.items():
        size = len(graph) / _WEIGHTS_BYTES
        if name == "static_int8":
            report.at_most(f"{name}: size ÷ model.safetensors", size, "ratio", 0.31, "≤ 0.31")
        else:
            report.told(f"{name}: size ÷ model.safetensors", size, "ratio")
    for batch_size in _LEAST_SPEEDUP:
        _latencies(report, graphs, batch_size, options)
    return report


def _static(content: bytes, train: Split, seed: int) -> bytes:
    config = real_data.resnet20_config()
    batches = calibration_batches(train, config.mean, config.std, samples=_SAMPLES, seed=seed)
    with StaticQuantizer(content, batches, "minmax") as quantizer:
        return stripped(quantizer.all_but(()))


def _accuracies(report: Report, graphs: dict[str, bytes], test: Split) -> None:
    config = real_data.resnet20_config()
    base = None
    for name, graph in graphs.items():
        accuracy = evaluate(Graph(graph), test, config.mean, config.std).accuracy
        sys.stdout.write(f"{name:18} {accuracy:.4f}\n")
        report.told(f"{name}: test accuracy", accuracy, "share")
        base = accuracy if base is None else base
        if name == "static_int8":
            drop = 100 * (base - accuracy)
            report.at_most("static_int8: accuracy drop", drop, "points", 0.3, "≤ 0.3")


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
        if name == "static_int8":
            least = _LEAST_SPEEDUP[batch_size]
            report.at_least(said, ratio, "ratio", least, f"≥ {least}")
        else:
            report.told(said, ratio, "ratio")
