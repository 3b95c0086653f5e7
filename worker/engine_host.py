"""Starts engine children for the worker, by way of a fork server that it keeps alive.

The worker itself never imports torch: the fork server does, once, and each child is a fork of it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from worker.channel import ChannelError
from worker.engine_child import EngineChild, processes_by_session
from worker.isolation import NOBODY, Isolation, Kind, Limits
from worker.server_process import EngineHostError as EngineHostError  # ours to raise
from worker.server_process import ServerProcess, Watched

PRELOAD = (
    "torch",
    "torchvision",
    "timm",
    # Ours, because a child that starts with them is quicker. They too must run no operator.
    "worker.child",
    "worker.handlers",
    "worker.handlers.intake",
)
INTAKE_LIMITS = Limits(
    address_space_bytes=8 << 30,
    cpu_s=86_400,  # of all its threads; its deadline is shorter, and follows the upload's size
    file_bytes=68 << 30,  # the largest dataset is 64 GiB
    open_files=256,
)

_ISOLATION_TIMEOUT_S = 30.0
_WATCH_INTERVAL_S = 0.1
_HOPELESS = 3  # servers in a row that ended before they were ready
_RETRY_DELAY_S = 1.0

log = logging.getLogger(__name__)


class EngineHost:
    """One per worker. `start` it before any `spawn`; `close` it to end every child and the server.

    Children's home folders live under `scratch_root`. `preload` names modules that the server
    imports; one that cannot be imported is found in `missing` and stops nothing.
    A server that dies takes its children with it and is replaced.
    """

    def __init__(self, scratch_root: Path, preload: tuple[str, ...] = PRELOAD) -> None:
        self._scratch_root = scratch_root
        self._preload = preload
        self._changed = threading.Condition()
        self._server: ServerProcess | None = None
        self._failures = 0
        self._closing = threading.Event()
        # The server dies with the thread that made it, so that thread does nothing else.
        self._keeper = threading.Thread(target=self._keep, name="engine-host", daemon=True)
        self._watch = threading.Thread(target=self._enforce, name="engine-watch", daemon=True)

    def start(self) -> None:
        """Returns at once; loading torch takes seconds, see `wait_ready`. Call it once."""
        self._scratch_root.mkdir(parents=True, exist_ok=True)
        self._keeper.start()
        self._watch.start()

    def wait_ready(self, timeout: float) -> None:
        """Raises EngineHostError after `timeout` seconds, or when servers keep failing to start."""
        self._ready_server(timeout)

    @property
    def ready(self) -> bool:
        server = self._server
        return server is not None and server.ready

    @property
    def missing(self) -> Mapping[str, str]:
        """Modules of `preload` that did not import, each with its error; empty until ready."""
        server = self._server
        return server.missing if server else {}

    @property
    def server_pid(self) -> int | None:
        server = self._server
        return server.pid if server else None

    def spawn(
        self,
        job_dir: Path,
        kind: Kind,
        *,
        log_path: Path,
        entry: str = "worker.child:main",
        limits: Limits | None = None,
        memory_limit_bytes: int | None = None,
        deadline_s: float | None = None,
        ready_timeout_s: float = 60.0,
    ) -> EngineChild:
        """Starts a child in `job_dir` and returns when it is isolated, about to call `entry`.

        `entry` is "module:function" for `(channel, job_dir, kind) -> exit code`. Standard output
        and error are appended to `log_path`. `limits` are for intake (`INTAKE_LIMITS` unless
        given), whose folder is given to nobody when we are root: its inputs must be readable by
        others. Memory is that of all descendants, shared pages counted in proportion; the deadline
        counts seconds from now. Raises EngineHostError; waits `ready_timeout_s` for a server.
        """
        if limits is not None and kind != "intake":
            raise ValueError("limits are for intake children; give a job memory_limit_bytes")
        if kind == "intake" and os.geteuid() == 0:
            os.chown(job_dir, NOBODY, NOBODY)
        given = limits or (INTAKE_LIMITS if kind == "intake" else Limits())
        server = self._ready_server(ready_timeout_s)
        watched = Watched(memory_limit_bytes, deadline_s)
        child = server.spawn(kind, job_dir, entry, given, log_path, watched)
        child.isolation = _isolation_of(child)
        return child

    def close(self) -> None:
        """Kills every child, ends the server, and returns when they are gone. Twice is fine."""
        with self._changed:
            self._closing.set()
            if self._server is not None:
                self._server.stop()
            self._changed.notify_all()
        for thread in (self._keeper, self._watch):
            if thread.is_alive():
                thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready_server(self, timeout: float) -> ServerProcess:
        def settled() -> bool:
            return self.ready or self._failures >= _HOPELESS or self._closing.is_set()

        with self._changed:
            self._changed.wait_for(settled, timeout)
            if self._closing.is_set():
                raise EngineHostError("the engine host is closed")
            if self._server is None or not self._server.ready:
                raise EngineHostError(
                    f"no fork server within {timeout} s ({self._failures} failed to start)"
                )
            return self._server

    def _keep(self) -> None:
        while server := self._launch():
            if server.await_ready():
                self._note(failures=0)
                server.relay()
            with self._changed:
                self._server = None
            code = server.bury()
            if self._closing.is_set():
                return
            log.error("the fork server ended with code %s; starting another", code)
            if not server.ready:
                self._note(failures=self._failures + 1)
                self._closing.wait(_RETRY_DELAY_S)

    def _launch(self) -> ServerProcess | None:
        with self._changed:
            if self._closing.is_set():
                return None
            self._server = ServerProcess(self._scratch_root, self._preload)
            return self._server

    def _note(self, *, failures: int) -> None:
        with self._changed:
            self._failures = failures
            self._changed.notify_all()

    def _enforce(self) -> None:
        while not self._closing.wait(_WATCH_INTERVAL_S):
            server = self._server
            if server is not None and (children := server.living()):
                processes = processes_by_session()
                for child in children:
                    child.enforce(processes)


def _isolation_of(child: EngineChild) -> Isolation:
    """The child's first message. Raises EngineHostError, and ends the child, when none comes."""
    try:
        message = child.channel.receive(_ISOLATION_TIMEOUT_S)
        if message is not None:
            return Isolation.from_message(message)
        reason: object = "see its log"
    except (ChannelError, TimeoutError, ValueError) as error:
        reason = error
    child.close()
    raise EngineHostError(f"the child ended before it began: {reason}")
