"""Long measurements, kept in a file as they end, so that a campaign can go on where it stopped.

Each runs in a process with one thread, as many at once as there are cores: for trainings of this
size two processes get more done than one with two threads, and a result does not depend on what
runs beside it.
"""

import hashlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_model, save_model
from scipy.stats import t as students_t
from torch import nn


class Trial(Protocol):
    """One measurement, equal to another if their facts are."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the value depends on, as JSON."""

    def measure(self) -> float:
        """May take minutes."""


class Trials:
    """The values of trials, kept in a file of JSON lines; delete it to measure anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, float] = {}
        if path.exists():
            rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
            self._known = {row["key"]: float(row["value"]) for row in rows}

    def measure(self, trials: Iterable[Trial]) -> None:
        """Whatever of these is not known yet."""
        missing = {_key(trial): trial for trial in trials if _key(trial) not in self._known}
        if not missing:
            return
        with ProcessPoolExecutor(
            min(len(missing), len(os.sched_getaffinity(0))),
            multiprocessing.get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(1,),
        ) as pool:
            running = {pool.submit(_timed, trial): trial for trial in missing.values()}
            for ended in as_completed(running):
                self._keep(running[ended], *ended.result())

    def value(self, trial: Trial) -> float:
        """That of a trial which was measured."""
        return self._known[_key(trial)]

    def values(self, trials: Iterable[Trial]) -> list[float]:
        """Those of trials which were measured."""
        return [self.value(trial) for trial in trials]

    def _keep(self, trial: Trial, value: float, seconds: float) -> None:
        self._known[_key(trial)] = value
        row = {"key": _key(trial), "value": value, "seconds": round(seconds, 1), **trial.facts}
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        sys.stderr.write(f"{json.dumps(trial.facts)}: {value:.4g} in {seconds:.0f} s\n")


def kept(module: nn.Module, path: Path, train: Callable[[], object]) -> nn.Module:
    """`module` with the weights in the file; they are trained and put there if there is none."""
    if not path.exists():
        train()
        path.parent.mkdir(exist_ok=True)
        # Another process may look for it meanwhile.
        unfinished = path.with_suffix(f".{os.getpid()}")
        save_model(module, str(unfinished))
        unfinished.rename(path)
    load_model(module, path)
    return module.eval()


def gain(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval (Student's t) of the paired differences; of one pair, no interval."""
    gains = [one - other for one, other in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(gains)
    if len(gains) == 1:
        return mean, mean, mean
    error = statistics.stdev(gains) / len(gains) ** 0.5
    half = float(students_t.ppf(0.975, len(gains) - 1)) * error
    return mean, mean - half, mean + half


def _key(trial: Trial) -> str:
    told = json.dumps(trial.facts, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _timed(trial: Trial) -> tuple[float, float]:
    started = time.monotonic()
    return trial.measure(), time.monotonic() - started
