"""Writing and reading the state of a run."""

import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from worker.engine.checkpoint import checkpoint_path, load, load_newest, save
from worker.engine.errors import InvalidCheckpoint
from worker.engine.train.progress import Progress
from worker.engine.train.settings import Settings


class Checkpointer:
    """Everything from which a run continues bit for bit.

    The order of examples, the augmentation and the learning rate are functions of seed, epoch
    and offset, so they need no state of their own.
    """

    def __init__(
        self,
        model: nn.Module,
        learned: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        progress: Progress,
        settings: Settings,
        data_digest: str,
        device: torch.device,
    ) -> None:
        self._model, self._learned = model, learned
        self._optimizer, self._scaler = optimizer, scaler
        self._progress, self._settings, self._device = progress, settings, device
        self._fingerprint = {**settings.fingerprint(), "data": data_digest}
        self._written_at, self._written_step = time.monotonic(), 0

    def due(self) -> bool:
        """Whether enough time or steps have passed since the last one."""
        every_steps = self._settings.checkpoint_every_steps
        if every_steps is not None:
            return self._progress.step - self._written_step >= every_steps
        return time.monotonic() - self._written_at >= self._settings.checkpoint_every_s

    def write(self) -> Path:
        """Save the state after the current step; returns where."""
        assert self._settings.checkpoint_dir is not None
        path = checkpoint_path(self._settings.checkpoint_dir, self._progress.step)
        save(path, self._state())
        self._written_at, self._written_step = time.monotonic(), self._progress.step
        return path

    def resume(self) -> None:
        """Take up `resume_from`, if it is set. Raises `InvalidCheckpoint`."""
        source = self._settings.resume_from
        if source is None:
            return
        state = load_newest(source)[1] if source.is_dir() else load(source)
        found = state.get("settings")
        if found != self._fingerprint:
            raise InvalidCheckpoint(
                f"the checkpoint belongs to another run: {self._differs(found)}"
            )
        try:
            self._restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InvalidCheckpoint(f"the checkpoint does not fit this model: {error}") from error
        self._written_step = self._progress.step

    def _state(self) -> dict[str, Any]:
        state = {
            "settings": self._fingerprint,
            "model": self._model.state_dict(),
            "learned": self._learned.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "progress": self._progress.state(),
            "rng_cpu": torch.get_rng_state(),
        }
        if self._device.type == "cuda":
            state["rng_cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._learned.load_state_dict(state["learned"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._progress.restore(state["progress"])
        torch.set_rng_state(state["rng_cpu"])
        if self._device.type == "cuda" and "rng_cuda" in state:
            torch.cuda.set_rng_state(state["rng_cuda"], self._device)

    def _differs(self, found: object) -> str:
        if not isinstance(found, dict):
            return "it does not say which"
        names = sorted(set(found) | set(self._fingerprint))
        return ", ".join(n for n in names if found.get(n) != self._fingerprint.get(n))
