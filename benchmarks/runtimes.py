"""What another runtime gains for `cnn_teacher`, batch 1 and 32, all in turns with eager."""

import os
import tempfile
from pathlib import Path
from typing import Final

import torch

from benchmarks.figures import Options, Report
from worker.engine.device import resolve_device
from worker.engine.measure.conductor import contest
from worker.engine.measure.contestant import Conditions, Entry
from worker.engine.measure.latency import speedup
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, save_folder
from worker.handlers.side_by_side import timing_environment

_HALF: Final = (0.5, 0.5, 0.5)
_CONFIG: Final = ModelConfig("cnn_teacher", 10, (3, 32, 32), _HALF, _HALF)
_BLOCKS: Final = {"quick": 10, "full": 40}
_EXECUTIONS: Final = {"quick": 1, "full": 3}
_FIRST: Final = "eager"


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory() as name:
        save_folder(build(_CONFIG).eval(), _CONFIG, Path(name), "# runtimes\n")
        timed, skipped = contest(
            [Entry("cnn_teacher", Path(name), runtime) for runtime in RUNTIMES],
            Conditions(resolve_device(), len(os.sched_getaffinity(0)), timing_environment()),
            batch_sizes=(1, 32),
            warmup_s=0.5,
            blocks=_BLOCKS[options.budget],
            block_s=0.2,
            executions=_EXECUTIONS[options.budget],
        )
    for left_out in skipped:
        report.skip(left_out.entry.runtime, left_out.reason)
    found = {one.entry.runtime: one for one in timed}
    for batch_size in (1, 32):
        gains = {}
        for runtime, one in found.items():
            where = f"{runtime} {one.facts.precision}, batch {batch_size}"
            latency = one.latencies[batch_size]
            report.told(f"{where}: p50", latency.p50_ms, "ms")
            report.told(f"{where}: variation", latency.cv, "share")
            if runtime != _FIRST:
                ratio = speedup(found[_FIRST].latencies[batch_size], latency, options.seed)
                gains[runtime] = ratio.median
                report.told(f"{where}: speed-up over eager", ratio.median, "×")
        best = max(gains, key=lambda runtime: gains[runtime])
        report.told(f"best runtime, batch {batch_size}: {best}", gains[best], "×")
        if batch_size == 1 and "onnxruntime" in gains:
            report.at_least(
                "onnxruntime over eager, batch 1", gains["onnxruntime"], "×", 1.5, "≥ 1.5"
            )
    for runtime, one in found.items():
        report.told(f"{runtime}: cold start", one.facts.cold_start_s, "s")
        grown = one.facts.peak_rss_bytes - one.facts.libraries_rss_bytes
        report.told(f"{runtime}: memory beyond the libraries", grown / 2**20, "MiB")
    return report
