"""The process that has torch in memory and forks an engine child from itself when it is asked.

    python -m worker.forkserver <control fd> <worker pid> <module>...

It imports the modules and runs no operator: a process that has run one OpenMP operator leaves every
fork of itself hanging in its first one. It has one thread. Control is a SOCK_SEQPACKET socket, one
packet a message (`Request` in, `Report` out), a request carrying two descriptors: the child's end
of its channel and its log. The server ends when that socket closes or its worker dies, and takes
its children's process groups with it; should it be killed outright, the kernel takes the children.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, cast

from worker.channel import Channel
from worker.isolation import Kind, Limits, Plan, die_with_parent, isolate

MAX_PACKET_BYTES = 1 << 16

Entry = Callable[[Channel, Path, str], int]


@dataclass(frozen=True)
class Request:
    """`entry` is "module:function", called with (channel, job_dir, kind); it returns the exit code.

    `id` is the worker's, and comes back in the answer.
    """

    id: int
    kind: Kind
    job_dir: str
    entry: str
    limits: Limits

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, packet: bytes) -> Request:
        fields = json.loads(packet)
        return cls(**{**fields, "limits": Limits(**fields["limits"])})


@dataclass(frozen=True)
class Ready:
    """Sent once. `missing` maps a module that did not import to its error."""

    missing: dict[str, str]


@dataclass(frozen=True)
class Spawned:
    id: int
    pid: int


@dataclass(frozen=True)
class Refused:
    """The fork itself failed: no memory, too many processes."""

    id: int
    reason: str


@dataclass(frozen=True)
class Exited:
    """Exactly one of `code` and `signal` is set."""

    pid: int
    code: int | None
    signal: int | None
    max_rss_bytes: int


Report = Ready | Spawned | Refused | Exited
_REPORTS: dict[str, type[Report]] = {
    report.__name__: report for report in (Ready, Spawned, Refused, Exited)
}


def encode_report(report: Report) -> bytes:
    return json.dumps([type(report).__name__, asdict(report)]).encode()


def decode_report(packet: bytes) -> Report:
    name, fields = json.loads(packet)
    return _REPORTS[name](**fields)


class _Stopped(Exception):
    pass


class _Server:
    def __init__(self, control: socket.socket, wakeup: socket.socket) -> None:
        self._control = control
        self._wakeup = wakeup
        self._children: set[int] = set()
        self._pid = os.getpid()

    def serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ, self._serve_request)
            selector.register(self._wakeup, selectors.EVENT_READ, self._serve_signals)
            while True:
                for key, _ in selector.select():
                    key.data()

    def kill_children(self) -> None:
        for pid in self._children:
            _kill_group(pid)

    def _serve_signals(self) -> None:
        signals = self._wakeup.recv(4096)
        if signal.SIGTERM in signals:
            raise _Stopped
        self._reap()

    def _reap(self) -> None:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while self._children and (dead := os.waitid(os.P_ALL, 0, flags)) is not None:
            pid = dead.si_pid
            _kill_group(pid)  # what it left behind, while the zombie still holds the number
            _, status, usage = os.wait4(pid, 0)
            self._children.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            self._report(
                Exited(
                    pid=pid,
                    code=code if code >= 0 else None,
                    signal=-code if code < 0 else None,
                    max_rss_bytes=usage.ru_maxrss * 1024,
                )
            )

    def _serve_request(self) -> None:
        packet, fds, _, _ = socket.recv_fds(self._control, MAX_PACKET_BYTES, 2)
        if not packet:
            raise _Stopped
        request = Request.decode(packet)
        channel_fd, log_fd = fds
        os.set_inheritable(channel_fd, False)
        # No signal may run the server's handlers in the child before it has put them down.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
        try:
            pid = os.fork()
            if pid == 0:
                _child(request, channel_fd, log_fd, self._pid)
            self._children.add(pid)
            self._report(Spawned(request.id, pid))
        except OSError as error:
            self._report(Refused(request.id, str(error)))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})
            os.close(channel_fd)
            os.close(log_fd)

    def _report(self, report: Report) -> None:
        try:
            self._control.send(encode_report(report))
        except OSError:
            raise _Stopped from None


def _child(request: Request, channel_fd: int, log_fd: int, server_pid: int) -> NoReturn:
    code = 1
    try:
        _put_down_signals()
        _redirect(log_fd)
        faulthandler.enable()
        gc.enable()
        code = _run(request, channel_fd, server_pid)
    except BaseException:  # whatever it was, it must not climb into the server's loop
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)


def _run(request: Request, channel_fd: int, server_pid: int) -> int:
    # The entry is our own code, and nobody may be unable to read where it is installed.
    entry = _find(request.entry)
    job_dir = Path(request.job_dir)
    os.chdir(job_dir)
    isolation = isolate(
        Plan(
            kind=request.kind,
            scratch=job_dir,
            keep=frozenset({0, 1, 2, channel_fd}),
            server_pid=server_pid,
            limits=request.limits,
        )
    )
    channel = Channel(socket.socket(fileno=channel_fd))
    channel.send(isolation.to_message())
    return entry(channel, _reachable(job_dir), request.kind)


def _reachable(job_dir: Path) -> Path:
    """The folder by a name this process may use: a parent may be closed to a dropped user."""
    return job_dir if os.access(job_dir, os.W_OK | os.X_OK) else Path()


def _find(entry: str) -> Entry:
    module, _, function = entry.partition(":")
    return cast(Entry, getattr(importlib.import_module(module), function))


def _put_down_signals() -> None:
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})


def _redirect(log_fd: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _preload(modules: Sequence[str]) -> dict[str, str]:
    missing = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}"
    return missing


def _note(signum: int, frame: FrameType | None) -> None:
    """Exists so that the wakeup socket hears of the signal."""


def main(argv: Sequence[str]) -> int:
    control = socket.socket(fileno=int(argv[0]))
    control.set_inheritable(False)
    # SIGTERM rather than SIGKILL, so that the grandchildren can be taken along.
    die_with_parent(int(argv[1]), signal.SIGTERM)
    gc.disable()  # a collection would touch, and so copy, the pages that children share
    missing = _preload(argv[2:])
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, _note)
    server = _Server(control, woken)
    gc.freeze()
    try:
        control.send(encode_report(Ready(missing)))
        server.serve()
    except (_Stopped, OSError):
        server.kill_children()
    signal.set_wakeup_fd(-1)  # a signal that comes now must find no closed socket
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
