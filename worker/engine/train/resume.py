"""Writing and reading the state of a run."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from worker.engine.checkpoint import checkpoint_path, load, load_newest, save
from worker.engine.errors import InvalidCheckpoint
from worker.engine.train.progress import Progress
from worker.engine.train.settings import Settings


class Stateful(Protocol):
    """What a run continues from, as tensors and plain values."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


class Checkpointer:
    """Everything from which a run continues bit for bit: its parts and the random generators.

    The order of examples, the augmentation and the learning rate are functions of seed, epoch
    and offset, so they need no state of their own.
    """

    def __init__(
        self,
        parts: Mapping[str, Stateful],
        progress: Progress,
        settings: Settings,
        data_digest: str,
        device: torch.device,
    ) -> None:
        self._parts: Mapping[str, Stateful] = {**parts, "progress": progress}
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
        """Save the state after the current step; returns where.

        Of a group, all gather it and the first process saves it.
        """
        assert self._settings.checkpoint_dir is not None
        path = checkpoint_path(self._settings.checkpoint_dir, self._progress.step)
        state = self._state()
        if self._settings.group.is_first:
            save(path, state)
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
            self.restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InvalidCheckpoint(f"the checkpoint does not fit this model: {error}") from error
        self._written_step = self._progress.step

    def snapshot(self) -> dict[str, Any]:
        """A copy of the current state in the computer's memory, for `restore`."""
        state: dict[str, Any] = _copied(self._state())
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state. The clock goes back as well."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["rng_cpu"])
        if self._device.type == "cuda" and "rng_cuda" in state:
            torch.cuda.set_rng_state(state["rng_cuda"], self._device)

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {name: part.state_dict() for name, part in self._parts.items()}
        state |= {"settings": self._fingerprint, "rng_cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            state["rng_cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def _differs(self, found: object) -> str:
        if not isinstance(found, dict):
            return "it does not say which"
        names = sorted(set(found) | set(self._fingerprint))
        return ", ".join(n for n in names if found.get(n) != self._fingerprint.get(n))


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value
