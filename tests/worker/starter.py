"""Spawns the entries of `tests.worker.entries`, each child in a folder of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.engine_child import EngineChild, ExitStatus
from worker.engine_host import EngineHost
from worker.isolation import Kind


class Starter:
    def __init__(self, host: EngineHost, scratch: Path) -> None:
        self.host = host
        self._scratch = scratch
        self._children: list[EngineChild] = []
        self._numbers = itertools.count()

    def __call__(self, entry: str, kind: Kind = "job", **options: Any) -> EngineChild:
        job_dir = self._scratch / f"{next(self._numbers)}-{entry}"
        job_dir.mkdir()
        child = self.host.spawn(
            job_dir,
            kind,
            log_path=self.log_of(job_dir),
            entry=f"tests.worker.entries:{entry}",
            **options,
        )
        self._children.append(child)
        return child

    def log_of(self, job_dir: Path) -> Path:
        return job_dir.with_suffix(".log")

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self._scratch.glob("*.log")))

    def close(self) -> None:
        for child in self._children:
            child.close()


def ended(child: EngineChild, timeout: float = 10) -> ExitStatus:
    status = child.wait(timeout)
    assert status is not None, "the child still runs"
    return status


def heard(child: EngineChild, timeout: float = 20) -> dict[str, Any]:
    message = child.channel.receive(timeout)
    assert message is not None, "the child has closed its channel"
    return message


def until(condition: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    """A process that has ended counts as gone, also while nobody has reaped it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"
