"""The worker's side of one fork server: its process, its control socket, its living children."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from worker.channel import Channel, pair
from worker.engine_child import EngineChild
from worker.forkserver import (
    MAX_PACKET_BYTES,
    Exited,
    Ready,
    Refused,
    Report,
    Request,
    Spawned,
    decode_report,
)
from worker.isolation import Kind, Limits, allowed_environment
from worker.tuning import tune

_SEND_TIMEOUT_S = 5.0  # a child that reads nothing for so long is hung
_ANSWER_TIMEOUT_S = 30.0  # a fork takes 20 ms; on a machine that swaps, seconds
_STOP_TIMEOUT_S = 10.0


class EngineHostError(Exception):
    """A child could not be started. The job may be tried again; nothing of it is running."""


@dataclass(frozen=True)
class Watched:
    """What the host's watch holds a child to; None is no limit."""

    memory_limit_bytes: int | None
    deadline_s: float | None


@dataclass(frozen=True)
class _Pending:
    answer: Future[EngineChild]
    channel: Channel
    watched: Watched

    def refuse(self, reason: str) -> None:
        if self.answer.set_running_or_notify_cancel():
            self.answer.set_exception(EngineHostError(reason))


class ServerProcess:
    """Must be made, relayed and buried in one thread that outlives it: the server dies with it."""

    def __init__(self, scratch_root: Path, preload: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._children: dict[int, EngineChild] = {}
        self._pending: dict[int, _Pending] = {}
        self._numbers = itertools.count()
        self._gone = False
        self.ready = False
        self.missing: Mapping[str, str] = {}
        with theirs:
            arguments = [str(theirs.fileno()), str(os.getpid()), *preload]
            # A session of its own keeps a terminal's Ctrl-C for the worker, which drains.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.forkserver", *arguments],
                env=_environment(scratch_root),
                cwd=scratch_root,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.pid = self._process.pid

    def living(self) -> list[EngineChild]:
        with self._lock:
            return list(self._children.values())

    def spawn(
        self,
        kind: Kind,
        job_dir: Path,
        entry: str,
        limits: Limits,
        log_path: Path,
        watched: Watched,
    ) -> EngineChild:
        """Returns when the fork is made. Raises EngineHostError, or OSError for the log."""
        channel, theirs = pair(send_timeout_s=_SEND_TIMEOUT_S)
        answer: Future[EngineChild] = Future()
        try:
            with theirs:
                number = self._expect(_Pending(answer, channel, watched))
                request = Request(number, kind, str(job_dir), entry, limits)
                self._send(request, theirs, log_path)
            return answer.result(_ANSWER_TIMEOUT_S)
        except BaseException as error:
            # A child that comes after all finds no one at the other end, and is killed.
            answer.cancel()
            channel.close()
            if isinstance(error, TimeoutError):
                raise EngineHostError("the fork server does not answer") from None
            raise

    def await_ready(self) -> bool:
        """False when it ended, or was stopped, before it had loaded its modules."""
        report = self._next_report()
        if isinstance(report, Ready):
            self.missing = report.missing
            self.ready = True
        return self.ready

    def relay(self) -> None:
        """Handles reports until the server ends or is stopped."""
        while report := self._next_report():
            match report:
                case Ready():
                    raise AssertionError("a server gets ready once")
                case Spawned():
                    self._on_spawned(report)
                case Refused():
                    self._take_pending(report.id).refuse(f"the fork failed: {report.reason}")
                case Exited():
                    with self._lock:
                        child = self._children.pop(report.pid)
                    child.finish(report.code, report.signal, report.max_rss_bytes)
                case _:
                    assert_never(report)

    def stop(self) -> None:
        """Kills the children and ends `relay`; for any thread."""
        for child in self.living():
            child.kill()
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def bury(self) -> int:
        """Makes sure that nothing of it runs any more, and tells who waits. The exit code."""
        self._process.terminate()
        try:
            code = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        with self._lock:
            self._gone = True
            pending, self._pending = list(self._pending.values()), {}
            children, self._children = list(self._children.values()), {}
        self._control.close()
        for one in pending:
            one.refuse("the fork server died")
        for child in children:
            child.finish_lost()
        return code

    def _expect(self, pending: _Pending) -> int:
        with self._lock:
            if self._gone:
                raise EngineHostError("the fork server died")
            number = next(self._numbers)
            self._pending[number] = pending
            return number

    def _take_pending(self, number: int) -> _Pending:
        with self._lock:
            return self._pending.pop(number)

    def _send(self, request: Request, channel: socket.socket, log_path: Path) -> None:
        with log_path.open("ab", buffering=0) as log:
            try:
                fds = [channel.fileno(), log.fileno()]
                socket.send_fds(self._control, [request.encode()], fds)
            except OSError as error:
                raise EngineHostError(f"the fork server is gone: {error}") from error

    def _next_report(self) -> Report | None:
        try:
            packet = self._control.recv(MAX_PACKET_BYTES)
        except ConnectionResetError:  # it died with requests unread
            return None
        return decode_report(packet) if packet else None

    def _on_spawned(self, report: Spawned) -> None:
        pending = self._take_pending(report.id)
        child = EngineChild(
            report.pid,
            pending.channel,
            memory_limit_bytes=pending.watched.memory_limit_bytes,
            deadline_s=pending.watched.deadline_s,
        )
        with self._lock:
            self._children[report.pid] = child
        if pending.answer.set_running_or_notify_cancel():
            pending.answer.set_result(child)
        else:
            child.kill()


def _environment(scratch_root: Path) -> dict[str, str]:
    """A clean one from the first moment: /proc shows a fork what its server was started with."""
    environment = allowed_environment(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    environment["HOME"] = environment["TMPDIR"] = str(scratch_root)
    tune(environment)
    return environment
