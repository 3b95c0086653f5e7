"""What the benchmarks run against: the application in process, an API process, or all of it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi.testclient import TestClient

from modelpress import Client
from service.app import create_app
from service.auth import ensure_key, generate_key
from service.config import Settings
from service.embedded import Stack, choose_port
from service.store.migrate import upgrade
from service.store.session import Database


class _Silent:
    """Takes nudges for workers that are not there."""

    def nudge(self, queue_name: str, job_id: str) -> None:
        return


@dataclass(frozen=True, eq=False)
class App:
    """The application on a database of its own, without a network between."""

    client: TestClient
    database_url: str


@dataclass(frozen=True)
class ApiProcess:
    """A real API process."""

    client: httpx2.Client
    pid: int


@contextmanager
def application(folder: Path, database_url: str | None = None) -> Iterator[App]:
    """The application on SQLite in `folder`, or on the database of that URL."""
    settings = Settings(data_dir=folder, database_url=database_url)
    upgrade(settings.database)
    key = generate_key()
    ensure_key(Database(settings.database), key, "benchmark")
    app = create_app(settings, relay=_Silent())
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as client:
        yield App(client, settings.database)


@contextmanager
def api_process(folder: Path, database_url: str | None = None) -> Iterator[ApiProcess]:
    """`modelpress api` on SQLite in `folder`, or on the database of that URL, without a broker:
    jobs are accepted all the same."""
    settings = Settings(data_dir=folder, database_url=database_url)
    upgrade(settings.database)
    key, port = generate_key(), choose_port("127.0.0.1", 0)
    environment = {
        **os.environ,
        "MODELPRESS_DATA_DIR": str(folder),
        "MODELPRESS_DATABASE_URL": settings.database,
        "MODELPRESS_BOOTSTRAP_KEY": key,
        "MODELPRESS_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "service.cli.main", "api", "--port", str(port)]
    process = subprocess.Popen(command, env=environment)
    try:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            _wait_live(client, process)
            yield ApiProcess(client, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=15)


@contextmanager
def running_stack() -> Iterator[tuple[Client, httpx2.Client]]:
    """Everything that `modelpress up` starts, with its worker loaded: the SDK, and plain HTTP."""
    # A short path: unix sockets have no room for long ones.
    with (
        tempfile.TemporaryDirectory(prefix="mp-") as folder,
        Stack(Path(folder), port=0) as stack,
        Client(stack.url, stack.key) as client,
        httpx2.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.key}"}) as http,
    ):
        deadline = time.monotonic() + 60
        while not client.workers():
            assert time.monotonic() < deadline, "the worker did not register"
            time.sleep(0.05)
        yield client, http


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def mapped_files(pid: int, word: str) -> int:
    """How many files with `word` in their path a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
    return sum(word in path for path in paths)


def _wait_live(client: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if client.get("/livez").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert process.poll() is None, "the API process ended"
        assert time.monotonic() < deadline, "the API did not answer"
        time.sleep(0.05)
