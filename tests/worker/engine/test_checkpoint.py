"""Checkpoints: whole or absent, verified, the newest two kept."""

import errno
import os
from pathlib import Path

import pytest
import torch

from worker.engine.checkpoint import checkpoint_path, list_checkpoints, load, load_newest, save
from worker.engine.errors import DiskFull, InvalidCheckpoint


def state(value: float) -> dict[str, object]:
    return {"weights": torch.full((100,), value), "step": int(value), "names": ["a", "b"]}


def test_a_checkpoint_reads_back_as_it_was_written(tmp_path: Path) -> None:
    save(tmp_path / "x.ckpt", state(3.0))
    found = load(tmp_path / "x.ckpt")
    assert torch.equal(found["weights"], torch.full((100,), 3.0))
    assert (found["step"], found["names"]) == (3, ["a", "b"])


def test_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 20, 100):
        save(checkpoint_path(tmp_path, step), state(float(step)))
    assert [load(path)["step"] for path in list_checkpoints(tmp_path)] == [100, 20]


@pytest.mark.parametrize("position", [0, 500, -1])
def test_a_flipped_bit_is_noticed_and_the_one_before_is_taken(
    tmp_path: Path, position: int
) -> None:
    for step in (1, 2):
        save(checkpoint_path(tmp_path, step), state(float(step)))
    newest = checkpoint_path(tmp_path, 2)
    content = bytearray(newest.read_bytes())
    content[position] ^= 1
    newest.write_bytes(content)
    with pytest.raises(InvalidCheckpoint):
        load(newest)
    path, found = load_newest(tmp_path)
    assert (path, found["step"]) == (checkpoint_path(tmp_path, 1), 1)


@pytest.mark.parametrize("kept", [0, 10, 1000])
def test_a_truncated_file_is_noticed(tmp_path: Path, kept: int) -> None:
    save(tmp_path / "x.ckpt", state(1.0))
    content = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(content[:kept])
    with pytest.raises(InvalidCheckpoint):
        load(tmp_path / "x.ckpt")


def test_a_full_disk_is_a_typed_error_and_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "x.ckpt", state(1.0))

    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskFull):
        save(tmp_path / "x.ckpt", state(2.0))
    assert load(tmp_path / "x.ckpt")["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]
