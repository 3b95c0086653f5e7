"""Whether our stopwatch tells the truth: about a model against itself, and beside other clocks.

Each run against itself has six fresh processes, three on either side, as a `benchmark` job has by
default. The other clocks are `torch.utils.benchmark` and a
bare loop around ONNX Runtime on the same file, one thread, in turns with ours.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
import torch
from torch.utils.benchmark import Timer

from benchmarks.figures import Options, Report
from worker.engine.measure.conductor import contest
from worker.engine.measure.contestant import Conditions, Entry
from worker.engine.measure.latency import Latency, speedup
from worker.engine.measure.runner import inputs_of
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, save_folder

_HALF: Final = (0.5, 0.5, 0.5)
_CONFIG: Final = ModelConfig("cnn_student", 10, (3, 32, 32), _HALF, _HALF)
_RUNS: Final = {"quick": 20, "full": 100}
_ROUNDS: Final = {"quick": 3, "full": 9}
_CPU: Final = torch.device("cpu")
_LOOP_S: Final = 2.0
_EXECUTIONS: Final = 3


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_folder(build(_CONFIG).eval(), _CONFIG, folder, "# timing honesty\n")
        _against_itself(report, folder, options)
        _beside(report, folder, options, "eager", "torch.utils.benchmark", _torch_p50_s(folder))
        _beside(report, folder, options, "onnxruntime", "a bare loop", _bare_p50_s(folder))
    return report


def _against_itself(report: Report, folder: Path, options: Options) -> None:
    runs = _RUNS[options.budget]
    found, ratios = 0, []
    for number in range(runs):
        one, other = _timed([Entry(name, folder, "eager") for name in "ab"], _EXECUTIONS)
        ratio = speedup(one, other, seed=options.seed + number)
        found += ratio.low <= 1.0 <= ratio.high
        ratios.append(ratio.median)
    report.at_least(
        f"a model against itself, {runs} runs: intervals that contain 1.0",
        found / runs,
        "share",
        0.9,
        "≥ 0.9",
    )
    report.told("largest distance of its speed-up from 1", max(abs(r - 1) for r in ratios), "×")


def _beside(
    report: Report,
    folder: Path,
    options: Options,
    runtime: str,
    clock: str,
    p50_s: Callable[[], float],
) -> None:
    ratios = []
    for _ in range(_ROUNDS[options.budget]):
        (ours,) = _timed([Entry("ours", folder, runtime)])
        ratios.append(ours.p50_ms / 1e3 / p50_s())
    distance = abs(statistics.median(ratios) - 1)
    report.at_most(f"{runtime}: p50 against {clock}", distance, "share", 0.05, "≤ 0.05")


def _timed(entries: list[Entry], executions: int = 1) -> list[Latency]:
    """Batch 1, started as this process was, so that only the stopwatch differs."""
    timed, skipped = contest(
        entries,
        Conditions(_CPU, 1, dict(os.environ)),
        batch_sizes=(1,),
        warmup_s=0.3,
        blocks=10,
        block_s=0.1,
        executions=executions,
    )
    assert not skipped, skipped
    return [one.latencies[1] for one in timed]


def _torch_p50_s(folder: Path) -> Callable[[], float]:
    module = load_folder(folder).module.to(memory_format=torch.channels_last)
    x = inputs_of(_CONFIG, 1).to(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode():
            module(x)

    timer = Timer("forward()", globals={"forward": forward}, num_threads=1)

    def p50_s() -> float:
        # Its own blocks are means over a tenth of a second, into which every interruption goes.
        samples: list[float] = []
        begin = time.perf_counter()
        while time.perf_counter() - begin < _LOOP_S:
            samples.append(timer.timeit(1).median)
        return float(np.median(samples))

    return p50_s


def _bare_p50_s(folder: Path) -> Callable[[], float]:
    file = folder / "bare.onnx"
    write = RUNTIMES["onnxruntime"].write
    assert write is not None
    write(folder, file, device=_CPU, precision="fp32")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {"input": inputs_of(_CONFIG, 1).numpy()}

    def p50_s() -> float:
        samples: list[float] = []
        begin = time.perf_counter()
        while time.perf_counter() - begin < _LOOP_S:
            start = time.perf_counter()
            session.run(None, feed)
            samples.append(time.perf_counter() - start)
        return float(np.median(samples))

    return p50_s
