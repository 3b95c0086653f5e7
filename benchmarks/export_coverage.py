"""How many classifiers of timm and torchvision export to ONNX, pt2 and OpenVINO, parity held.

The fixed list of 60 of `model_coverage`, with random weights. A file counts only if it was loaded
in its runtime and its logits on four random inputs are within the tolerance that jobs have.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

import torch

from benchmarks.figures import Options, Report
from benchmarks.model_coverage import CANDIDATES, Candidate
from worker.engine.data.split import Split
from worker.engine.export.formats import EXPORTERS
from worker.engine.export.parity import Called, compare, logits_of
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel, build
from worker.engine.models.graph import Graph
from worker.engine.seeds import generator

_CLASSES, _INPUTS = 5, 4
_FORMATS: Final = ("onnx", "pt2", "openvino")
_PROMISED: Final = ("onnx", "pt2")


def run(options: Options) -> Report:
    """The same 60 on either budget, until the minutes are over; prints a line for each."""
    torch.set_num_threads(1)  # for models this small, threads mostly wait for one another
    report, held, done = Report(), Counter[str](), 0
    deadline = time.monotonic() + 60 * options.minutes
    for candidate in CANDIDATES:
        if options.budget == "quick" and time.monotonic() > deadline:
            break
        done += 1
        start = time.perf_counter()
        loaded, inputs = _prepared(candidate, options.seed)
        with tempfile.TemporaryDirectory() as folder:
            outcomes = {name: _try(loaded, inputs, name, Path(folder)) for name in _FORMATS}
        for name, reason in outcomes.items():
            held[name] += reason is None
            if reason is not None:
                report.told(f"failed: {candidate.name} to {name}", reason, "")
        said = ", ".join(f"{name} {reason or 'held'}" for name, reason in outcomes.items())
        sys.stdout.write(f"{candidate.name:44} {time.perf_counter() - start:5.1f} s  {said}\n")
        sys.stdout.flush()
    for name in _FORMATS:
        title, share = f"{name}: exports whose parity held", held[name] / done
        if name in _PROMISED and done == len(CANDIDATES):
            report.at_least(title, share, "share", 0.95, f"at least 95 % of {done}")
        else:
            report.told(title, share, "share")
    report.told("architectures tried", done, "architectures")
    return report


def _prepared(candidate: Candidate, seed: int) -> tuple[LoadedModel, Split]:
    size = (3, candidate.side, candidate.side)
    config = ModelConfig(candidate.name, _CLASSES, size, (0.0,) * 3, (1.0,) * 3)
    torch.manual_seed(seed)
    x = torch.randn(_INPUTS, *size, generator=generator(seed, "export coverage"))
    labels = torch.zeros(_INPUTS, dtype=torch.int64)
    return LoadedModel(build(config).eval(), config), Split(x, labels)


def _try(loaded: LoadedModel, inputs: Split, name: str, folder: Path) -> str | None:
    """None, or why it does not count."""
    onnx = folder / "model.onnx"
    try:
        source = loaded
        if name == "openvino" and onnx.exists():  # the same as it would export once more
            source = LoadedModel(Graph(onnx.read_bytes()), loaded.config)
        path = folder / f"model.{name}"
        file = EXPORTERS[name](source, path, facts={}, threads=1)
        reference = logits_of(loaded.module, loaded.config, inputs)
        compare(logits_of(Called(file.predict), loaded.config, inputs), reference)
    except Exception as error:  # whatever it is, it is why
        return f"{type(error).__name__}: {error}"[:200]
    return None
