"""The process that one model has in one runtime to itself.

    python -P -m worker.engine.measure.timing_process

One JSON object a line: commands on standard input, one answer each on what was standard output.
It waits in a read between its turns, and ends with its input.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from worker.engine.data.batches import normalise
from worker.engine.errors import EngineError, memory_errors
from worker.engine.measure.energy import Counter, counter_of
from worker.engine.measure.runner import Runner, Setting, inputs_of
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.measure.stopwatch import Sample, sampler, turn, warm_up
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import read_config

_CHECKED_INPUTS: Final = 4  # few, because their logits travel as text


class _Process:
    """Remembers what was loaded last."""

    def __init__(self) -> None:
        self._runner: Runner
        self._config: ModelConfig
        self._sample: Sample
        self._counter: Counter | None = None
        self._batch_size = 0

    def load(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The time until the first answer, and how much memory was there before."""
        device = torch.device(command["device"])
        before = _resident_bytes("VmRSS")
        start = time.perf_counter()
        self._runner = RUNTIMES[command["runtime"]].load(
            Path(command["folder"]),
            Path(command["file"]),
            Setting(command["batch_size"], device, command["threads"], command["precision"]),
        )
        self._sample = sampler(self._runner, device)
        self._sample()
        took_s = time.perf_counter() - start
        self._config = read_config(Path(command["folder"]))
        self._batch_size = command["batch_size"]
        self._counter = counter_of(device)
        return {"took_s": took_s, "rss_bytes": before, "precision": self._runner.precision}

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Logits of a few inputs."""
        logits = self._runner.predict(inputs_of(self._config, _CHECKED_INPUTS))
        return {"logits": logits.tolist()}

    def warm_up(self, command: Mapping[str, Any]) -> dict[str, Any]:
        return {"stable": warm_up(self._sample, command["seconds"])}

    def turn(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The energy is that of all forward passes, of which there is one more than samples."""
        if self._counter is None:
            return {"samples_s": turn(self._sample, command["seconds"]), "energy_mj": None}
        before = self._counter.read()
        samples = turn(self._sample, command["seconds"])
        used = self._counter.between(before, self._counter.read())
        return {"samples_s": samples, "energy_mj": used, "energy_source": self._counter.source}

    def classify(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The class of every stored input in a file, in batches of the size that was loaded last,
        for which the runtime is prepared."""
        x = load_file(command["inputs"])["x"]
        size, classes = self._batch_size, []
        for at in range(0, len(x), size):
            part = x[at : at + size]
            missing = size - len(part)
            whole = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])
            ready = normalise(whole, self._config.mean, self._config.std)
            classes += self._runner.predict(ready).argmax(1)[: len(part)].tolist()
        return {"classes": classes}

    def memory(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Largest ones so far."""
        on_gpu = self._runner.on_stream
        device = torch.cuda.max_memory_allocated() if on_gpu else None
        return {"rss_bytes": _resident_bytes("VmHWM"), "device_bytes": device}


def main() -> int:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print what they like
    process = _Process()
    commands: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "load": process.load,
        "answer": process.answer,
        "warm_up": process.warm_up,
        "turn": process.turn,
        "memory": process.memory,
        "classify": process.classify,
    }
    for line in sys.stdin:
        command = json.loads(line)
        try:
            with memory_errors():
                answer = commands[command["do"]](command)
        except EngineError as error:
            answer = {"error": error.code, "message": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _resident_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    sys.exit(main())
