"""Keeps jobs of this machine from disturbing a timing: by locks on two files of the scratch root.

Every job holds `device.lock` shared while it works. One that times takes `device.gate`, then waits
until it has `device.lock` alone. Jobs ask at every step whether someone waits, and give way: a
training stands still for the minutes that a benchmark measures, and goes on. Nobody waits for a
file while holding one that another needs for giving way, so none wait for each other; the kernel
frees what a process held when it dies. Of a job on several GPUs the first process holds the lock
for all: the others stand still with it, since they wait for it at the end of every step. Workers
with scratch roots of their own do not see each other.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from worker.engine.errors import Stopped

_POLL_S: Final = 0.02

ShouldStop = Callable[[], bool]


def _tell_nobody(waits: bool) -> None: ...


class DeviceLock:
    """One per job; use it in a `with`. `should_stop` is asked while it waits: True is `Stopped`.

    `on_wait` is told True when a wait begins, and False when it ends, however it does.
    """

    def __init__(self, root: Path, on_wait: Callable[[bool], None] = _tell_nobody) -> None:
        self._on_wait = on_wait
        self._timing = False
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._gate = os.open(root / "device.gate", flags, 0o600)
        self._device = os.open(root / "device.lock", flags, 0o600)

    def share(self, should_stop: ShouldStop) -> None:
        """Work beside other jobs, once nobody times or waits to."""
        self._wait(self._gate, fcntl.LOCK_SH, should_stop)
        try:
            self._wait(self._device, fcntl.LOCK_SH, should_stop)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def give_way(self, should_stop: ShouldStop) -> None:
        """Asked between two steps of work that is shared: wait if someone wants to be alone.

        Returns also when told to stop, since a checkpoint has still to be written. Who is alone, or
        waits to be, gives no way: it would lose its place.
        """
        if self._timing:
            return
        if _try(self._gate, fcntl.LOCK_SH):
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            return
        fcntl.flock(self._device, fcntl.LOCK_UN)
        with suppress(Stopped):
            self.share(should_stop)

    @contextmanager
    def alone(self, should_stop: ShouldStop) -> Iterator[None]:
        """The others have given way, or ended; afterwards the work is shared as before, also after
        an error. Within another `alone` nothing changes."""
        if self._timing:
            yield
            return
        self._timing = True
        try:
            fcntl.flock(self._device, fcntl.LOCK_UN)
            self._wait(self._gate, fcntl.LOCK_EX, should_stop)
            try:
                self._wait(self._device, fcntl.LOCK_EX, should_stop)
                yield
            finally:
                # Nobody else is alone while the gate is ours: this does not wait.
                fcntl.flock(self._device, fcntl.LOCK_SH)
                fcntl.flock(self._gate, fcntl.LOCK_UN)
        finally:
            self._timing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._device)
        os.close(self._gate)

    def _wait(self, file: int, how: int, should_stop: ShouldStop) -> None:
        if _try(file, how):
            return
        self._on_wait(True)
        try:
            while not _try(file, how):
                if should_stop():
                    raise Stopped
                time.sleep(_POLL_S)
        finally:
            self._on_wait(False)


def _try(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
