"""One timing process, as the conductor sees it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from worker.engine.device import Precision
from worker.engine.errors import EngineError, NotExportable, OutOfMemory
from worker.engine.measure.energy import Source
from worker.engine.measure.runner import checked_difference, inputs_of, reference_of
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.models.folder import read_config, weights_path


@dataclass(frozen=True)
class Entry:
    """A saved model in a runtime; `name` is the caller's for the model."""

    name: str
    folder: Path
    runtime: str
    precision: Precision = "fp32"


@dataclass(frozen=True)
class ProcessFacts:
    """What is measured once of a process; see the fields of the same names in the contract."""

    precision: str
    cold_start_s: float
    peak_rss_bytes: int
    libraries_rss_bytes: int
    peak_device_bytes: int | None
    file_bytes: int
    max_abs_difference: float


@dataclass(frozen=True)
class Energy:
    """What the device used while it ran so many inputs, in millijoules, and who counted."""

    millijoules: float
    inputs: int
    source: Source

    def __add__(self, other: "Energy | None") -> "Energy":
        if other is None:
            return self
        spent = self.millijoules + other.millijoules
        return Energy(spent, self.inputs + other.inputs, self.source)

    @property
    def mj_per_input(self) -> float:
        return self.millijoules / self.inputs


@dataclass(frozen=True)
class Conditions:
    """The same for every process; `environment` is all that it is started with, beside the path of
    our modules."""

    device: torch.device
    threads: int
    environment: Mapping[str, str]


class Contestant:
    """Starts its process at once; the file it loads is written in `scratch`, by this process.

    Raises what the runtime raises. Use it in a `with`, which ends the process.
    """

    def __init__(self, entry: Entry, conditions: Conditions, scratch: Path) -> None:
        self.entry = entry
        self._conditions = conditions
        runtime = RUNTIMES[entry.runtime]
        self._file = scratch / runtime.name
        if runtime.write is not None:
            if not self._file.exists():
                runtime.write(
                    entry.folder, self._file, device=conditions.device, precision=entry.precision
                )
        else:
            self._file = weights_path(entry.folder)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.engine.measure.timing_process"],
            env={
                "PYTHONPATH": os.pathsep.join(sys.path),
                **conditions.environment,
                # Models of one architecture compile alike: each is to find nothing of another's.
                "TORCHINDUCTOR_CACHE_DIR": str(scratch / "compiled"),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._first: dict[str, Any] | None = None
        self._batch_size = 0
        self.energies: dict[int, Energy] = {}
        self.precision = ""

    def load(self, batch_size: int) -> None:
        """Prepare for a batch size; the first time is the cold start."""
        answer = self._ask(
            "load",
            folder=str(self.entry.folder),
            file=str(self._file),
            runtime=self.entry.runtime,
            batch_size=batch_size,
            device=self._conditions.device.type,
            threads=self._conditions.threads,
            precision=self.entry.precision,
        )
        self._first = self._first or answer
        self._batch_size = batch_size
        self.precision = answer["precision"]

    def warm_up(self, seconds: float) -> bool:
        """Whether the median stayed at last."""
        return bool(self._ask("warm_up", seconds=seconds)["stable"])

    def turn(self, seconds: float) -> list[float]:
        """Samples in seconds."""
        answer = self._ask("turn", seconds=seconds)
        samples: list[float] = answer["samples_s"]
        if answer["energy_mj"] is not None:
            inputs = (len(samples) + 1) * self._batch_size
            spent = Energy(answer["energy_mj"], inputs, answer["energy_source"])
            self.energies[self._batch_size] = spent + self.energies.get(self._batch_size)
        return samples

    def classes(self, inputs: Path) -> Tensor:
        """The class of each input `x` of a safetensors file, stored as datasets are."""
        found: list[int] = self._ask("classify", inputs=str(inputs))["classes"]
        return torch.tensor(found)

    def facts(self) -> ProcessFacts:
        """After the last turn. Raises `NotExportable` where the answers are not the model's."""
        assert self._first is not None
        memory = self._ask("memory")
        logits = torch.tensor(self._ask("answer")["logits"])
        inputs = inputs_of(read_config(self.entry.folder), len(logits))
        return ProcessFacts(
            precision=self.precision,
            cold_start_s=self._first["took_s"],
            peak_rss_bytes=memory["rss_bytes"],
            libraries_rss_bytes=self._first["rss_bytes"],
            peak_device_bytes=memory["device_bytes"],
            file_bytes=self._file.stat().st_size,
            max_abs_difference=checked_difference(
                logits, reference_of(self.entry.folder, inputs), self.precision
            ),
        )

    def close(self) -> None:
        """It reads the end of its input, or is killed."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, command: str, **fields: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": command, **fields}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise _death(self.entry.runtime, self._process.wait())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise engine_error(answer["error"], answer["message"])
        return answer


def _death(runtime: str, code: int) -> EngineError:
    """Nobody but the kernel kills a timing process that is still asked."""
    if code == -signal.SIGKILL:
        return OutOfMemory(
            f"memory ran out: the process of {runtime} was killed. "
            "Ask for fewer models or executions at once, or for smaller batches"
        )
    return NotExportable(f"the process of {runtime} ended with {code}")


def engine_error(code: str, message: str) -> EngineError:
    """The error that a code and its message came from."""
    kinds = {kind.code: kind for kind in EngineError.__subclasses__()}
    return kinds[code](message)
