"""The engine children that `benchmarks.durability` kills: one trains, one writes checkpoints.

How far they came they write into a file of 8 bytes, which a kill cannot tear.
"""

import hashlib
import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Final

import torch

from worker.channel import Channel
from worker.engine.checkpoint import checkpoint_path, list_checkpoints, save
from worker.engine.observer import NullObserver

INTERVAL: Final = 10
"""Steps between two checkpoints."""
_EPOCHS: Final = 12
_STATE_BYTES: Final = 4 << 20


def work(channel: Channel, folder: Path, kind: str) -> int:
    """The entry: says when its first step is done, or its first checkpoint written."""
    if (folder / "what").read_text() == "write":
        _write(channel, folder)
    # In the child, as the handlers do: a server that has run an operator hangs its forks.
    from tests.worker.engine.conftest import bright
    from worker.engine.data.split import channel_stats
    from worker.engine.models.config import ModelConfig
    from worker.engine.models.folder import build
    from worker.engine.seeds import seed_everything
    from worker.engine.train.loop import fit

    data = bright(train=1280)
    mean, std = channel_stats(data.train)
    seed_everything(0, deterministic=True)
    model = build(
        ModelConfig(
            architecture="mlp",
            classes=data.classes,
            input_size=data.input_size,
            mean=mean,
            std=std,
            options={"hidden": [32], "dropout": 0.2},
        )
    )
    checkpoints = folder / "checkpoints"
    fit(
        model, data, mean=mean, std=std, epochs=_EPOCHS, batch_size=64, seed=0, device="cpu",
        checkpoint_dir=checkpoints, checkpoint_every_steps=INTERVAL,
        resume_from=checkpoints if list_checkpoints(checkpoints) else None,
        observer=_Tells(channel, folder),
    )  # fmt: skip
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    (folder / "weights").write_text(digest.hexdigest())
    return 0


def read_told(folder: Path) -> int:
    """The last step or checkpoint that a child told of."""
    try:
        return int.from_bytes((folder / "told").read_bytes(), "little")
    except FileNotFoundError:
        return 0


def checkpoint_step(folder: Path) -> int:
    """Of the newest checkpoint there; 0 without one."""
    found = list_checkpoints(folder / "checkpoints")
    return int(found[0].stem.rpartition("-")[2]) if found else 0


def weights_digest(folder: Path) -> str:
    """Of the weights that a training ended with."""
    return (folder / "weights").read_text()


class _Tells(NullObserver):
    """Counts the questions of each step: `on_step` comes only a few times a second."""

    def __init__(self, channel: Channel, folder: Path) -> None:
        self._channel, self._folder = channel, folder
        self._first = self._step = checkpoint_step(folder)

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self._step = step

    def should_stop(self) -> bool:
        self._step += 1
        _tell(self._folder, self._step)
        if self._step == self._first + 1:
            self._channel.send({"begins": True})
        return False


def _write(channel: Channel, folder: Path) -> None:
    state = {"weights": torch.ones(_STATE_BYTES // 4)}
    for step in count(checkpoint_step(folder) + 1):
        save(checkpoint_path(folder / "checkpoints", step), state)
        _tell(folder, step)
        channel.send({"begins": True})


def _tell(folder: Path, step: int) -> None:
    descriptor = os.open(folder / "told", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, step.to_bytes(8, "little"), 0)
    finally:
        os.close(descriptor)
