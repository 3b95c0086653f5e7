"""What pruning is worth on the clock and on the disk, on saved files that were loaded again.

Original and pruned take turns in one process; a speed-up is the median of the rounds' ratios.
"""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.figures import Options, Report
from worker.engine.measure.latency import Latency, measure_interleaved, speedup
from worker.engine.measure.macs import macs
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import WEIGHTS, build, load_folder, save_folder
from worker.engine.prune.cuts import apply_cuts
from worker.engine.prune.importance import importance
from worker.engine.prune.masks import apply_masks, filter_masks, maskable, weight_masks
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS, save_sparse
from worker.engine.prune.structured import Amount, choose, trace

_BLOCKS: Final = {"quick": 10, "full": 40}
_TEACHER: Final = {1: 1.9, 32: 2.6, 128: 3.4}  # times
_SHARE_OF_MACS: Final = 0.85
_ROUND_TO: Final = 8
_HALF: Final = (0.5, 0.5, 0.5)


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _teacher(report, folder, options)
        _resnet18(report, folder, options)
    return report


def _teacher(report: Report, folder: Path, options: Options) -> None:
    config = ModelConfig("cnn_teacher", 10, (3, 32, 32), _HALF, _HALF)
    torch.manual_seed(options.seed)
    whole = build(config).eval()
    original, pruned = _saved(whole, config, folder / "teacher"), _pruned(whole, config, folder)
    names = maskable(whole)
    masked = copy.deepcopy(whole)
    apply_masks(masked, filter_masks(masked, names[:-1], 0.5))
    zeros = _saved(masked, config, folder / "masked")
    ratio = _macs_ratio(original, pruned)
    report.told("cnn_teacher: MACs before ÷ after", ratio, "×")
    for batch_size, target in _TEACHER.items():
        timed = _timed(
            {"original": original, "pruned": pruned, "zeros": zeros}, batch_size, options
        )
        gained = speedup(timed["original"], timed["pruned"]).median
        figure = f"cnn_teacher, half of the channels, batch {batch_size}: speed-up"
        report.at_least(figure, gained, "×", target, f"≥ {target}×")
        report.told(f"{figure} ÷ MACs ratio", gained / ratio, "share")
        same = speedup(timed["original"], timed["zeros"]).median
        report.told(f"cnn_teacher, half of the filters zero, batch {batch_size}", same, "×")
    before = (folder / "teacher" / WEIGHTS).stat().st_size
    after = (folder / "pruned" / WEIGHTS).stat().st_size
    report.at_most("size, half of the channels", after / before, "share", 0.27, "≤ 0.27")
    apply_masks(whole, weight_masks(whole, names, 0.9))
    _saved(whole, config, folder / "sparse")
    save_sparse(load_file(folder / "sparse" / WEIGHTS), folder / SPARSE_WEIGHTS)
    sparse = (folder / SPARSE_WEIGHTS).stat().st_size
    report.at_most("size, 90 % of the weights zero", sparse / before, "share", 0.25, "≤ 0.25")


def _resnet18(report: Report, folder: Path, options: Options) -> None:
    config = ModelConfig("timm/resnet18", 1000, (3, 224, 224), _HALF, _HALF)
    torch.manual_seed(options.seed)
    whole = build(config).eval()
    original, pruned = _saved(whole, config, folder / "resnet18"), _pruned(whole, config, folder)
    ratio = _macs_ratio(original, pruned)
    report.told("resnet18: MACs before ÷ after", ratio, "×")
    gained: dict[str, float] = {}
    fastest: dict[str, float] = {}
    for layout, form in (
        ("contiguous", torch.contiguous_format),
        ("channels last", torch.channels_last),
    ):
        models = {"original": original, "pruned": pruned}
        timed = _timed(models, 32, options, form)
        gained[layout] = speedup(timed["original"], timed["pruned"]).median
        fastest[layout] = timed["pruned"].p50_ms
        report.told(f"resnet18, batch 32, {layout}: speed-up", gained[layout], "×")
        report.told(f"resnet18, batch 32, {layout}: pruned p50", fastest[layout], "ms")
    layout = min(fastest, key=lambda name: fastest[name])
    report.at_least(
        f"resnet18, batch 32, {layout}: speed-up ÷ MACs ratio",
        gained[layout] / ratio,
        "share",
        _SHARE_OF_MACS,
        "≥ 0.85 in the faster layout",
    )


def _pruned(whole: nn.Module, config: ModelConfig, folder: Path) -> nn.Module:
    traced = trace(whole, config.input_size)
    scores = importance(whole, traced.groups, "magnitude")
    plan = traced.plan(choose(traced, scores, Amount(0.5, round_to=_ROUND_TO)))
    cut = copy.deepcopy(whole)
    apply_cuts(cut, plan.cuts)
    step = {"kind": "prune", "cuts": [one.to_json() for one in plan.cuts]}
    after = ModelConfig(
        config.architecture,
        config.classes,
        config.input_size,
        config.mean,
        config.std,
        compression=(step,),
    )
    return _saved(cut, after, folder / "pruned")


def _saved(module: nn.Module, config: ModelConfig, folder: Path) -> nn.Module:
    save_folder(module, config, folder, card="")
    return load_folder(folder).module


def _macs_ratio(before: nn.Module, after: nn.Module) -> float:
    size = (3, 224, 224) if hasattr(before, "layer4") else (3, 32, 32)
    was, left = macs(before, size), macs(after, size)
    assert was is not None
    assert left is not None
    return was / left


def _timed(
    models: dict[str, nn.Module],
    batch_size: int,
    options: Options,
    layout: torch.memory_format = torch.channels_last,
) -> dict[str, Latency]:
    side = 224 if any(hasattr(module, "layer4") for module in models.values()) else 32
    x = torch.randn(batch_size, 3, side, side).contiguous(memory_format=layout)

    def forward(module: nn.Module) -> Callable[[], Tensor]:
        ready = module.to(memory_format=layout)

        def call() -> Tensor:
            with torch.inference_mode():
                logits: Tensor = ready(x)
                return logits

        return call

    calls = {name: forward(module) for name, module in models.items()}
    return measure_interleaved(calls, blocks=_BLOCKS[options.budget], warmup_s=0.3, block_s=0.2)
