"""How many classifiers of timm and torchvision prune at 0.5, reload bit-equal and export to ONNX.

The fixed list of 60 of `model_coverage`. Half of the channels of every group are removed, the
model is saved and loaded as any model is, must give the same outputs bit for bit, and onnxruntime
must agree with it. A model counts only if at least a fifth of its parameters are gone.
"""

import copy
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import timm
import torch

from benchmarks.figures import Options, Report
from benchmarks.model_coverage import CANDIDATES, Candidate
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.measure.size import parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, save_folder
from worker.engine.prune.cuts import apply_cuts
from worker.engine.prune.importance import importance
from worker.engine.prune.structured import Amount, choose, trace

_CLASSES: Final = 5
_LEAST_GONE: Final = 0.2
_CPU: Final = torch.device("cpu")


def run(options: Options) -> Report:
    """The same 60 on either budget; a line for each goes to stderr as it comes."""
    torch.set_num_threads(1)  # for models this small, threads mostly wait for one another
    report = Report()
    failures: dict[str, str] = {}
    for candidate in CANDIDATES:
        start = time.perf_counter()
        try:
            outcome = f"{_try(candidate, options.seed):.2f}× fewer parameters"
        except Exception as error:
            outcome = failures[candidate.name] = f"{type(error).__name__}: {error}"[:200]
        seconds = time.perf_counter() - start
        sys.stderr.write(f"{candidate.name:44} {seconds:5.1f} s  {outcome}\n")
        sys.stderr.flush()
    share = 1 - len(failures) / len(CANDIDATES)
    target = f"at least 90 % of {len(CANDIDATES)}"
    report.at_least("architectures that prune, reload and export", share, "share", 0.9, target)
    for name, reason in failures.items():
        report.told(f"failed: {name}", reason, "")
    _trace_of_resnet50(report)
    return report


def _try(candidate: Candidate, seed: int) -> float:
    """How many times fewer parameters. Raises whatever does not work."""
    size = (3, candidate.side, candidate.side)
    config = ModelConfig(candidate.name, _CLASSES, size, (0.5,) * 3, (0.5,) * 3)
    torch.manual_seed(seed)
    whole = build(config).eval()
    traced = trace(whole, size)
    scores = importance(whole, traced.groups, "magnitude")
    amount = Amount(0.5, max_pruning_ratio=0.95)
    plan = traced.plan(choose(traced, scores, amount))
    pruned = copy.deepcopy(whole)
    apply_cuts(pruned, plan.cuts)
    ratio = parameters(whole) / parameters(pruned)
    if 1 - 1 / ratio < _LEAST_GONE:
        raise ValueError(f"only {1 - 1 / ratio:.0%} of the parameters went")
    step = {"kind": "prune", "cuts": [cut.to_json() for cut in plan.cuts]}
    after = ModelConfig(candidate.name, _CLASSES, size, (0.5,) * 3, (0.5,) * 3, compression=(step,))
    x = torch.randn(2, *size)
    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        folder = Path(name)
        save_folder(pruned, after, folder, card="")
        if not torch.equal(load_folder(folder).module(x), pruned(x)):
            raise ValueError("reloads to other outputs")
        RUNTIMES["onnxruntime"](
            folder, batch_size=2, device=_CPU, threads=1
        )  # raises if they disagree
    return ratio


def _trace_of_resnet50(report: Report) -> None:
    network = timm.create_model("resnet50").eval()
    start = time.perf_counter()
    traced = trace(network, (3, 224, 224))
    scores = importance(network, traced.groups, "magnitude")
    plan = traced.plan(choose(traced, scores, Amount(0.5)))
    seconds = time.perf_counter() - start
    report.at_most("dry trace of ResNet-50 at 224²", seconds, "s", 5.0, "≤ 5 s")
    report.told("ResNet-50: MACs before ÷ after", traced.macs / plan.macs, "×")
