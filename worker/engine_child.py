"""One engine child, as its worker sees it: a process group that talks, ends and can be ended."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from worker.channel import Channel
from worker.isolation import Isolation

KillReason = Literal["memory", "deadline", "kill"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class ExitStatus:
    """How a child ended: exactly one of `code` and `signal` is set.

    `killed_by` says why *we* ended it. A SIGKILL without it came from elsewhere: the kernel out of
    memory, most likely, or the fork server's own death (then `max_rss_bytes` is unknown, None).
    """

    code: int | None
    signal: int | None
    killed_by: KillReason | None
    max_rss_bytes: int | None

    @property
    def ok(self) -> bool:
        return self.code == 0


class EngineChild:
    """Made by `EngineHost.spawn`. The caller owns it and must `close` it, or use it in a `with`.

    `isolation` is what the child managed to shut itself off from. All methods are safe in any
    thread, and harmless once the child has ended; `channel` has rules of its own.
    """

    isolation: Isolation

    def __init__(
        self,
        pid: int,
        channel: Channel,
        *,
        memory_limit_bytes: int | None,
        deadline_s: float | None,
    ) -> None:
        self.pid = pid
        self.channel = channel
        self._memory_limit_bytes = memory_limit_bytes
        self._deadline = None if deadline_s is None else time.monotonic() + deadline_s
        self._standing_since: float | None = None
        self._changed = threading.Condition()
        self._killed_by: KillReason | None = None
        self._status: ExitStatus | None = None

    def wait(self, timeout: float | None) -> ExitStatus | None:
        """None when `timeout` seconds have passed and it still runs; None waits for ever.

        Once it has ended, what it left running in its process group has ended too.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._status is not None, timeout)
            return self._status

    def terminate(self) -> None:
        """SIGTERM to the whole group: a child that does not handle it ends, killed by "kill"."""
        self._signal_group(signal.SIGTERM, "kill")

    def kill(self, reason: KillReason = "kill") -> None:
        """SIGKILL to the whole group. The first reason given is the one that is kept."""
        self._signal_group(signal.SIGKILL, reason)

    def close(self) -> None:
        """Kills it if it still runs, waits for the end, and closes the channel."""
        self.kill()
        self.wait(None)
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop_clock(self) -> None:
        """The deadline moves on from now. Twice is as once."""
        with self._changed:
            self._standing_since = self._standing_since or time.monotonic()

    def start_clock(self) -> float:
        """Seconds that it stood, by which the deadline is later; 0 if it went."""
        with self._changed:
            if self._standing_since is None:
                return 0.0
            stood = time.monotonic() - self._standing_since
            self._standing_since = None
            if self._deadline is not None:
                self._deadline += stood
            return stood

    def rss_bytes(self) -> int:
        """Resident memory of the child and its descendants, 0 once it has ended.

        Pages that they share, with the fork server too, count once for each of them.
        """
        return _rss_bytes(processes_by_session()[self.pid])

    def enforce(self, processes: Mapping[int, list[int]]) -> None:
        """Kills it if it is past its deadline or its memory limit; called by the host's watch.

        A resident size is cheap but counts shared pages repeatedly, so that one past the limit is
        checked against the proportional size before anything is killed.
        """
        if self._is_late():
            self.kill("deadline")
        limit = self._memory_limit_bytes
        if limit is None:
            return
        mine = processes.get(self.pid, [])
        if _rss_bytes(mine) > limit and _pss_bytes(mine) > limit:
            self.kill("memory")

    def finish(self, code: int | None, signum: int | None, max_rss_bytes: int | None) -> None:
        """Told by the host, once, that the process is gone."""
        with self._changed:
            assert self._status is None
            killed_by = None if signum is None else self._killed_by
            self._status = ExitStatus(code, signum, killed_by, max_rss_bytes)
            self._changed.notify_all()

    def finish_lost(self) -> None:
        """Told by the host that the fork server has died, which ends the child without a witness.

        Returns when the process is gone.
        """
        self._signal_group(signal.SIGKILL, None)
        with contextlib.suppress(ProcessLookupError):
            wait_gone(self.pid)
        self.finish(None, signal.SIGKILL, None)

    def _is_late(self) -> bool:
        with self._changed:
            if self._deadline is None or self._standing_since is not None:
                return False
            return time.monotonic() > self._deadline

    def _signal_group(self, signum: signal.Signals, reason: KillReason | None) -> None:
        with self._changed:
            if self._status is not None:
                return
            self._killed_by = self._killed_by or reason
            # Between its burial and our hearing of it the number is free, for milliseconds, but
            # the kernel hands numbers out in a circle: nobody can have it yet.
            try:
                os.killpg(self.pid, signum)
            except ProcessLookupError:  # too young to have a group, or gone
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signum)


def processes_by_session() -> defaultdict[int, list[int]]:
    """Every process of the machine under its session's number, which for a child is its own."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):  # noqa: PTH208  (numbers, not paths)
        if name.isdigit():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                found[os.getsid(int(name))].append(int(name))
    return found


def wait_gone(pid: int) -> None:
    """Waits for the end of a process that need not be ours. ProcessLookupError: there is none."""
    fd = os.pidfd_open(pid)
    try:
        select.select([fd], [], [])
    finally:
        os.close(fd)


def _rss_bytes(pids: Iterable[int]) -> int:
    return _sum_readable(
        pids, lambda pid: int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    )


def _pss_bytes(pids: Iterable[int]) -> int:
    return _sum_readable(pids, _pss_of)


def _pss_of(pid: int) -> int:
    try:
        match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except PermissionError:
        return _rss_bytes([pid])
    return int(match[1]) * 1024 if match else 0


def _sum_readable(pids: Iterable[int], measure: Callable[[int], int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += measure(pid)
    return total
