"""A worker to be killed: prints the pids it is responsible for, then waits."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.worker.starter import Starter, heard
from worker.engine_host import EngineHost


def main() -> None:
    scratch, kind = Path(sys.argv[1]), sys.argv[2]
    with EngineHost(scratch, preload=()) as host:
        host.wait_ready(30)
        child = Starter(host, scratch)("with_grandchildren", "job" if kind == "job" else "intake")
        print(host.server_pid, child.pid, *heard(child)["pids"], flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
