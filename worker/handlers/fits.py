"""The trainings of one job, known by what goes into them: a job that goes on after a stop finds
those that had finished, whatever their order.

A checkpoint holds what finished trainings left, and the loop's state of the one that was running.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from worker.engine.checkpoint import checkpoint_path, load, save
from worker.engine.train.loop import FitOutcome
from worker.engine.train.settings import FitOptions
from worker.handlers.common import Job
from worker.handlers.parts import PartObserver, plain_outcome, restored_outcome
from worker.order import CHECKPOINTS

_FITS: Final = "fits"
_MOST_BYTES: Final = 1 << 30  # every checkpoint writes them anew; what is beyond is done again
_EVERY_S: Final = 30.0  # as the loop: a training that took less is quickly done again

Train = Callable[[FitOptions], FitOutcome]


class Fits:
    """Trains, or gives what the same training left before the job was stopped."""

    def __init__(self, job: Job, epochs: int | None = None) -> None:
        """`epochs` are those of all trainings to come, where that is known."""
        self._job, self._epochs = job, epochs
        self._finished: dict[str, dict[str, Any]] = {}
        self._running: tuple[str, dict[str, Any]] | None = None
        self._steps = self._epochs_done = 0
        self._written_at = time.monotonic()
        if job.order.checkpoint is not None:
            kept = load(job.folder / job.order.checkpoint)
            if _FITS in kept:
                self._finished = kept[_FITS]
                self._running = (kept["running"], kept["state"]) if kept["state"] else None
            else:
                job.observer.on_warning(
                    "the checkpoint is of an older version of Modelpress: began from the start"
                )

    def run(
        self, module: nn.Module, facts: Mapping[str, Any], options: FitOptions, train: Train
    ) -> FitOutcome:
        """Train `module` in place by `train`, which gets `options` with its own checkpoints.

        `facts` are what sets this training apart from others of the job that start from the same
        weights. The module ends as `fit` leaves it. Raises what `train` raises.
        """
        key = _key(module, facts)
        known = self._finished.get(key)
        if known is not None:
            module.to(self._job.device).load_state_dict(known["weights"])
            module.eval()
            outcome = restored_outcome(known["outcome"])
        else:
            outcome = train(self._options(key, options))
            shutil.rmtree(self._folder(key), ignore_errors=True)
            self._keep(key, module, outcome)
        self._steps += outcome.steps
        self._epochs_done += options["epochs"]
        if known is None and time.monotonic() - self._written_at >= _EVERY_S:
            self._job.observer.on_checkpoint(self._write("", {}, 0), self._steps)
        return outcome

    def _keep(self, key: str, module: nn.Module, outcome: FitOutcome) -> None:
        weights = {name: t.detach().to("cpu", copy=True) for name, t in module.state_dict().items()}
        held = sum(_bytes(one["weights"]) for one in self._finished.values())
        if held + _bytes(weights) <= _MOST_BYTES:
            self._finished[key] = {"weights": weights, "outcome": plain_outcome(outcome)}

    def _options(self, key: str, options: FitOptions) -> FitOptions:
        own = options.copy()
        own["checkpoint_dir"] = self._folder(key)
        own["resume_from"] = None
        if self._running is not None and self._running[0] == key:
            own["resume_from"] = self._folder(key) / "resumed.ckpt"
            save(self._folder(key) / "resumed.ckpt", self._running[1])
        own["observer"] = PartObserver(
            self._job.observer,
            self._steps,
            lambda total: self._to_come(total, options["epochs"]),
            lambda state, step: self._write(key, state, step),
        )
        return own

    def _to_come(self, total: int, epochs: int) -> int:
        if self._epochs is None:
            return total
        return max(round(total * (self._epochs - self._epochs_done) / epochs), total)

    def _write(self, running: str, state: Mapping[str, Any], step: int) -> Path:
        path = checkpoint_path(self._job.folder / CHECKPOINTS, self._steps + step)
        save(path, {_FITS: self._finished, "running": running, "state": dict(state)})
        self._written_at = time.monotonic()
        return path

    def _folder(self, key: str) -> Path:
        return self._job.folder / _FITS / key


def _key(module: nn.Module, facts: Mapping[str, Any]) -> str:
    """Of parameters alone: statistics that are measured on the way may differ in a bit."""
    digest = sha256(json.dumps(facts, sort_keys=True).encode())
    for name, parameter in module.named_parameters():
        values = parameter.detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _bytes(weights: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in weights.values())
