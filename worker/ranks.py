"""A job of several processes: forked from its engine child, before that has run an operator.

The engine child itself only watches. Rank 0 speaks over the channel; the others say what they died
of in a file. All of them are in the child's process group and die with it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from worker.channel import Channel, Message
from worker.isolation import die_with_parent

_RANKS: Final = "ranks"
_SAID: Final = "said.json"
_GRACE_S: Final = 2.0  # a process whose peer is gone may want to say so itself
LOST: Final = 3  # the exit code of a process whose peer is gone


class Notebook:
    """Stands in for the channel of a rank that nobody listens to: keeps an error as a file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _SAID

    def send(self, message: Message) -> None:
        if message["type"] == "error":
            self._path.write_text(json.dumps(message))

    @property
    def error(self) -> Message | None:
        """What it was told last."""
        if not self._path.exists():
            return None
        said: Message = json.loads(self._path.read_text())
        return said


@dataclass(frozen=True)
class Place:
    """Where one process of a job is: its rank among `size`, and the file by which all meet."""

    rank: int
    size: int
    meeting: Path


Work = Callable[[Channel | Notebook, Path, Place], int]


def together(size: int, folder: Path, channel: Channel, work: Work) -> int:
    """Run `work` in `size` processes; the exit code of the child.

    Rank 0 gets the channel and the job's folder, the others a folder of their own that shows the
    same files. Where one dies the rest are ended, and an error that it could name is told; without
    one the child exits with `LOST`, as a process that crashed.
    """
    folder = folder.resolve()
    notebooks = [Notebook(_mirror(folder, rank)) for rank in range(1, size)]
    parent = os.getpid()
    ranks: dict[int, int] = {}
    for rank in range(size):
        pid = os.fork()
        if pid == 0:
            _be(Place(rank, size, folder / _RANKS / "meeting"), folder, channel, work, parent)
        ranks[pid] = rank
    ended = _watch(ranks)
    if ended.get(0) == 0:
        return 0
    error = next((book.error for book in notebooks if book.error is not None), None)
    if error is not None:
        channel.send(error)
        return 0
    for rank, code in ended.items():  # into the job's log
        sys.stderr.write(f"process {rank} of the job's {size} ended with {code}\n")
    return LOST


def own_device(place: Place, environment: Mapping[str, str]) -> str:
    """What CUDA_VISIBLE_DEVICES has to be for a process to see one device, its own."""
    shown = environment.get("CUDA_VISIBLE_DEVICES")
    names = [str(rank) for rank in range(place.size)] if shown is None else shown.split(",")
    return names[place.rank] if place.rank < len(names) else ""


def _be(place: Place, folder: Path, channel: Channel, work: Work, parent: int) -> NoReturn:
    code = 1
    try:
        die_with_parent(parent, signal.SIGKILL)
        os.environ["CUDA_VISIBLE_DEVICES"] = own_device(place, os.environ)
        if place.rank == 0:
            code = work(channel, folder, place)
        else:
            channel.close()
            book = Notebook(_own(folder, place.rank))
            code = work(book, _own(folder, place.rank), place)
            code = code or int(book.error is not None)
    except BaseException:  # whatever it was, it must not climb into the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(ranks: Mapping[int, int]) -> dict[int, int]:
    """Wait for rank 0, or for the first that fails and what that brings about; end the rest.

    The codes of those that ended by themselves, by rank.
    """
    ended: dict[int, int] = {}
    running = {os.pidfd_open(pid): pid for pid in ranks}
    deadline: float | None = None
    while 0 not in ended:
        ready = _ready(list(running), deadline)
        if not ready:
            break
        for descriptor in ready:
            pid = running.pop(descriptor)
            os.close(descriptor)
            ended[ranks[pid]] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if deadline is None and any(ended.values()):
            deadline = time.monotonic() + _GRACE_S
    for descriptor, pid in running.items():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)
    return ended


def _ready(descriptors: Sequence[int], deadline: float | None) -> list[int]:
    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    return select.select(descriptors, [], [], left)[0]


def _own(folder: Path, rank: int) -> Path:
    return folder / _RANKS / str(rank)


def _mirror(folder: Path, rank: int) -> Path:
    """A folder with folders of its own, and links to the files, of the job's."""
    own = _own(folder, rank)
    found = [path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != _RANKS]
    own.mkdir(parents=True)
    for path in sorted(found):  # folders come before what they hold
        target = own / path.relative_to(folder)
        if path.is_dir():
            target.mkdir()
        else:
            target.symlink_to(path)
    return own
