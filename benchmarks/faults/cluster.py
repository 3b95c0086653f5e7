"""A whole installation whose every process can be killed: database, broker, API, workers."""

import ctypes
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpx2
import psutil
import psycopg

from benchmarks.faults.tmpfs import tmpfs
from service.auth import generate_key
from service.embedded import choose_port, start_broker
from service.processes import Process
from service.store.migrate import upgrade
from service.store.session import Database
from tests.postgres_server import PostgresServer

Backend = Literal["sqlite", "postgres"]
ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

# Seconds instead of tens of them, so that a short campaign sees many leases lapse.
QUICK: Final = {
    "MODELPRESS_LEASE_S": "3",
    "MODELPRESS_HEARTBEAT_S": "0.5",
    "MODELPRESS_SWEEP_S": "1",
}
_PR_SET_CHILD_SUBREAPER: Final = 36
_START_S: Final = 300.0  # torch is slow to load where many load it
_GRACE_S: Final = 40.0


class Cluster:
    """Processes of one installation on SQLite or Postgres. A context manager.

    Everything is started from the thread that enters it. Orphans of what is killed become children
    of this process, so that none hides; `strangers` counts them.
    """

    def __init__(
        self,
        backend: Backend,
        workers: int,
        environment: Mapping[str, str] | None = None,
        disk_mib: int = 256,
    ) -> None:
        self.backend = backend
        self.key = generate_key()
        self.has_small_disk = False
        self._exit = ExitStack()
        self._broker_exit = ExitStack()
        self._given = dict(environment or {})
        self._count = workers
        self._disk_mib = disk_mib
        self.workers: dict[str, Process] = {}
        self._numbers = iter(range(1_000_000))

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error: *ExcInfo) -> None:
        for worker in self.workers.values():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
        self._exit.__exit__(*error)  # with the error: the folder stays where there was one

    def _start(self) -> None:
        # A short path: unix sockets have no room for long ones.
        root = self._exit.enter_context(_folder())
        self.data, self.logs = root / "data", root / "logs"
        self.data.mkdir()
        self.logs.mkdir()
        self.has_small_disk = self._exit.enter_context(tmpfs(self.data, self._disk_mib))
        self._exit.enter_context(_adopting_orphans())
        self._exit.callback(self._stop_processes)
        self.postgres: PostgresServer | None = None
        if self.backend == "postgres":
            folder = root / "postgres"
            folder.mkdir()
            self.postgres = PostgresServer(folder)
            self._exit.callback(self.postgres.stop)
            self.postgres.start()
            self.url = self.postgres.url
        else:
            self.url = f"sqlite:///{self.data / 'modelpress.db'}"
        upgrade(self.url)
        self.database = Database(self.url)
        self._exit.callback(self.database.close)
        self._exit.callback(lambda: self._broker_exit.close())
        self.start_broker()
        self.port = choose_port("127.0.0.1", 0)
        self.api_url = f"http://127.0.0.1:{self.port}"
        self.start_api()
        for _ in range(self._count):
            self.start_worker()
        self.http = self._exit.enter_context(self.client())
        self.wait(lambda: len(self.alive()) >= self._count, _START_S, "the workers to register")

    def client(self) -> httpx2.Client:
        """Plain HTTP with the admin key; close it."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.api_url, headers=headers, timeout=10.0, trust_env=False)

    # Starting

    def start_broker(self) -> None:
        """A fresh Valkey on the files and the socket of the one before."""
        self._broker_exit = ExitStack()
        self.broker, self.socket = self._broker_exit.enter_context(start_broker(self.data))

    def start_api(self) -> None:
        """Returns when it answers."""
        self.launch_api()
        with self.client() as http:
            self.wait(lambda: _answers(http), _START_S, "the API")

    def launch_api(self) -> None:
        """Returns at once."""
        command = [*_python("service.cli.main"), "api", "--port", str(self.port)]
        self.api = Process("api", command, self.logs / "api.log", self._environment())

    def start_worker(self) -> str:
        """Its name; it registers when torch is loaded."""
        name = f"w{next(self._numbers)}"
        environment = self._environment() | {"MODELPRESS_WORKER_NAME": name}
        log = self.logs / f"{name}.log"
        self.workers[name] = Process(name, _python("worker.main"), log, environment)
        return name

    def _environment(self) -> dict[str, str]:
        foreign = ("MODELPRESS_",)
        kept = {n: value for n, value in os.environ.items() if not n.startswith(foreign)}
        return kept | {
            "MODELPRESS_DATA_DIR": str(self.data),
            "MODELPRESS_DATABASE_URL": self.url,
            "MODELPRESS_BROKER_URL": f"redis+socket://{self.socket}?virtual_host=0",
            "MODELPRESS_BOOTSTRAP_KEY": self.key,
            "OMP_NUM_THREADS": "1",
            **self._given,
        }

    # Looking

    def alive(self) -> dict[str, str]:
        """Names of the registered workers that run, by id."""
        return {
            worker["id"]: worker["hostname"]
            for worker in self.get("/v1/workers")["data"]
            if worker["hostname"] in self.workers
        }

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a page that must be there; patient with an API that is away."""
        found: Any = None

        def has_come() -> bool:
            nonlocal found
            try:
                answer = self.http.get(path, params=params)
            except httpx2.TransportError:
                return False
            found = answer.json() if answer.status_code < 500 else None
            assert answer.status_code < 400 or answer.status_code >= 500, answer.text
            return found is not None

        self.wait(has_come, 90, f"GET {path}")
        return found

    def worker_of(self, job: Mapping[str, Any]) -> str | None:
        """The name of the process that holds a job, if it is one of ours and runs."""
        return self.alive().get(job["worker"] or "")

    def children_of(self, name: str) -> list[psutil.Process]:
        """Engine children of a worker: what its fork server has forked."""
        with suppress(psutil.NoSuchProcess):
            servers = psutil.Process(self.workers[name].pid).children()
            return [child for server in servers for child in server.children()]
        return []

    def strangers(self) -> list[psutil.Process]:
        """Living descendants of this process that are none of the processes we started."""
        known = {self.broker.pid, self.api.pid, *(w.pid for w in self.workers.values())}
        found = []
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                if child.status() == psutil.STATUS_ZOMBIE and child.pid not in known:
                    with suppress(ChildProcessError):
                        os.waitpid(child.pid, os.WNOHANG)  # an orphan that has ended
                elif child.environ().get("HOME", "").startswith(str(self.data)):
                    found.append(child)
        return found

    def wait(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        """Look again and again; fail when the time has passed."""
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {within_s} s for {what}; logs are in {self.logs}")
            time.sleep(0.05)

    # Ending

    def kill_worker(self, name: str) -> None:
        """SIGKILL to the worker alone, as the kernel would: its children are on their own."""
        self.workers.pop(name).kill()  # its group is itself: the fork server has a session

    def kill_broker(self) -> None:
        """SIGKILL."""
        self.broker.kill()
        self._broker_exit.close()

    def kill_api(self) -> None:
        """SIGKILL."""
        self.api.kill()

    def cut_connections(self) -> int:
        """End every session of the database server; SQLite has none."""
        if self.postgres is None:
            return 0
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return len(
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchall()
            )

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP to a worker, and SIGCONT after; never within a write of SQLite.

        There it would hold up every other writer, whom nothing but its waking helps.
        """
        pid = self.workers[name].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            while not self._can_write():
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.01)
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _can_write(self) -> bool:
        if self.backend == "postgres":
            return True
        path = self.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=2, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def stop_workers(self) -> None:
        """SIGTERM to all at once, then wait for each."""
        for process in self.workers.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        for name in list(self.workers):
            self.workers.pop(name).stop(_GRACE_S)

    def _stop_processes(self) -> None:
        self.stop_workers()
        if hasattr(self, "api"):
            self.api.stop(8.0)


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _answers(http: httpx2.Client) -> bool:
    try:
        return http.get("/livez", timeout=2.0).status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def _folder() -> Iterator[Path]:
    """Kept when something went wrong: its logs are the evidence."""
    folder = Path(mkdtemp(prefix="mp-"))
    folder.chmod(0o711)  # Postgres runs as nobody where we are root
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
