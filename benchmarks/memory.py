"""Peak memory of training with accumulation and activation checkpointing, against plain steps.

The same model, data and global batch; each run in a process of its own. On a processor it is the
peak of the resident set minus what was resident before the first step (interpreter, torch, data,
model, and one small step, which makes torch load what it loads once); on a GPU what torch had
allocated at most.
"""

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn

from benchmarks.figures import Options, Report
from worker.engine.data.split import Data, Split
from worker.engine.device import resolve_device
from worker.engine.models.registry import ARCHITECTURES
from worker.engine.train.loop import fit

_SIZE: Final = (3, 32, 32)
_BATCH: Final = 128
_STEPS: Final = 2
_ROUNDS: Final = {"quick": 1, "full": 5}  # memory hardly differs from run to run
_LIMIT: Final = 0.5
_PLAIN: Final = (1, False)  # accumulation, checkpointing
_SAVING: Final = ((8, False), (1, True), (8, True))


@dataclass(frozen=True)
class Work:
    """What one process trains."""

    architecture: str
    accumulation: int
    checkpointing: bool
    seed: int


@dataclass(frozen=True)
class Used:
    """Bytes at the peak, and images a second on the way."""

    peak_bytes: int
    images_per_s: float


def run(options: Options) -> Report:
    """Times are told beside; they need the machine for themselves, memory does not."""
    report = Report()
    report.told("device", resolve_device("auto").type, "")
    for architecture in ("cnn_teacher", "cifar_resnet20"):
        works = [Work(architecture, *way, seed=options.seed) for way in (_PLAIN, *_SAVING)]
        rounds = [[_in_a_process(w) for w in works] for _ in range(_ROUNDS[options.budget])]
        plain = [used[0] for used in rounds]
        megabytes = statistics.median(one.peak_bytes for one in plain) / 2**20
        report.told(f"{architecture}, batch {_BATCH}: plain", round(megabytes), "MiB")
        for number, work in enumerate(works[1:], 1):
            _compare(report, work, [used[number] for used in rounds], plain)
    return report


def _compare(report: Report, work: Work, saving: list[Used], plain: list[Used]) -> None:
    pairs = list(zip(saving, plain, strict=True))
    ratio = statistics.median(s.peak_bytes / p.peak_bytes for s, p in pairs)
    time = statistics.median(p.images_per_s / s.images_per_s for s, p in pairs)
    name = f"{work.architecture}, batch {_BATCH}, accumulation ×{work.accumulation}"
    if work.checkpointing:
        name += ", checkpointing"
    if (work.accumulation, work.checkpointing) == _SAVING[-1]:
        report.at_most(f"{name}: peak memory ÷ plain", ratio, "×", _LIMIT, f"≤ {_LIMIT}×")
    else:
        report.told(f"{name}: peak memory ÷ plain", ratio, "×")
    report.told(f"{name}: time ÷ plain", time, "×")


def _in_a_process(work: Work) -> Used:
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(_train, work).result()


def _train(work: Work) -> Used:
    device = resolve_device("auto")
    model = ARCHITECTURES[work.architecture].build(10, _SIZE)
    data = _data(_BATCH * _STEPS, work.seed)
    _fit(model, _data(4, work.seed), 4, work)
    before = _start_counting(device)
    images_per_s = _fit(model, data, _BATCH, work)
    return Used(_peak(device) - before, images_per_s)


def _fit(model: nn.Module, data: Data, batch_size: int, work: Work) -> float:
    outcome = fit(
        model,
        data,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        epochs=1,
        batch_size=batch_size,
        gradient_accumulation_steps=min(work.accumulation, batch_size),
        activation_checkpointing=work.checkpointing,
        seed=work.seed,
    )
    return outcome.images_per_s


def _data(count: int, seed: int) -> Data:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (count, *_SIZE), dtype=torch.uint8, generator=draw)
    train = Split(x, torch.arange(count) % 10)
    return Data.of(train, Split(x[:4], train.y[:4]), Split(x[:4], train.y[:4]))


def _start_counting(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now
    return _resident("VmRSS")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _resident("VmHWM")


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
