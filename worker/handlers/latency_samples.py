"""Every sample of a benchmark, in a file of its own: results are read often, samples seldom."""

import json
from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from worker.engine.measure.conductor import Timed
from worker.engine.measure.latency import Latency
from worker.order import OUT, ProducedFile

NAME: Final = "latency-samples.json"
_STEPS: Final = 20


def quantiles_ms(latency: Latency) -> tuple[float, ...]:
    """From 0 to 100 % in steps of 5 %."""
    found = np.quantile(latency.samples_ms, np.linspace(0, 1, _STEPS + 1))
    return tuple(float(one) for one in found)


def write_samples(folder: Path, timed: Iterable[tuple[str, Timed]]) -> ProducedFile:
    """Of each model, by id: a cell for each runtime, precision and batch size."""
    cells = [
        _cell(model, one, batch_size, latency)
        for model, one in timed
        for batch_size, latency in one.latencies.items()
    ]
    (folder / OUT).mkdir(exist_ok=True)
    (folder / OUT / NAME).write_text(json.dumps({"unit": "ms", "cells": cells}), encoding="utf-8")
    return ProducedFile(
        name=NAME, kind="samples", media_type="application/json", path=f"{OUT}/{NAME}"
    )


def _cell(model: str, timed: Timed, batch_size: int, latency: Latency) -> dict[str, Any]:
    """`turns` are in the order taken, those of one process after those of another."""
    ends = accumulate(latency.block_sizes, initial=0)
    samples = [round(sample, 6) for sample in latency.samples_ms]  # to the nanosecond
    return {
        "model": model,
        "runtime": timed.entry.runtime,
        "precision": timed.facts.precision,
        "batch_size": batch_size,
        "processes": getattr(latency, "executions", 1),
        "turns": [samples[start:end] for start, end in pairwise(ends)],
    }
