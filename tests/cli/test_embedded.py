"""The embedded stack: its processes, its lock, its broker."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
import redis

from service.cli.main import main
from service.embedded import Stack, StackError, choose_port, start_broker
from service.folder_lock import FolderInUse, FolderLock, holder_of
from service.processes import Process


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def python(program: str, log: Path) -> Process:
    return Process("python", [sys.executable, "-c", program], log)


def test_a_process_that_ignores_sigterm_is_killed_with_its_group(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = python(stubborn, tmp_path / "log")
    eventually(lambda: process.tail() != "")
    child = int(process.tail())
    process.stop(grace_s=0.1)
    assert process.exit_code == -signal.SIGKILL
    eventually(lambda: not is_alive(child))


def test_a_polite_process_ends_itself(tmp_path: Path) -> None:
    process = python("import time; print('up', flush=True); time.sleep(60)", tmp_path / "log")
    eventually(lambda: process.tail() == "up")
    process.stop(grace_s=10.0)
    assert process.exit_code == -signal.SIGTERM
    process.stop(grace_s=10.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel has to offer it")
def test_a_process_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom service.processes import Process\n"
        "process = Process('p', [sys.executable, '-c', 'import time; time.sleep(60)'],"
        " Path(sys.argv[1]))\n"
        "print(process.pid, flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    eventually(lambda: not is_alive(child))


def test_one_folder_has_one_holder_who_says_where_it_answers(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    lock = FolderLock(tmp_path)
    lock.describe("http://127.0.0.1:8000")
    with pytest.raises(FolderInUse, match=rf"process {os.getpid()} at http://127\.0\.0\.1:8000"):
        FolderLock(tmp_path)
    holder = holder_of(tmp_path)
    assert holder is not None
    assert (holder.pid, holder.url) == (os.getpid(), "http://127.0.0.1:8000")
    lock.release()
    assert holder_of(tmp_path) is None
    FolderLock(tmp_path).release()


def test_a_second_stack_on_a_folder_is_refused_in_words(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StackError, match="choose another folder"), Stack(tmp_path, port=0):
        pass
    lock.release()


@pytest.mark.parametrize("depth", [0, 10])
def test_the_broker_answers_on_a_private_socket_however_long_the_path(
    tmp_path: Path, depth: int
) -> None:
    folder = tmp_path.joinpath(*["a-rather-long-name"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    with start_broker(folder) as (process, path):
        eventually(path.exists)
        assert len(os.fsencode(path)) < 108
        assert path.stat().st_mode & 0o077 == 0
        client = redis.Redis(unix_socket_path=str(path), socket_timeout=5)
        eventually(lambda: bool(client.ping()))
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.close()
    assert process.exit_code == 0
    assert not path.exists()


def test_a_port_that_is_in_use_is_refused_if_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port}"):
            choose_port("127.0.0.1", port)
        assert choose_port("127.0.0.1", 0) != port
    assert choose_port("127.0.0.1", port) == port


class Interrupted:
    """A stack of which Ctrl-C is heard while it starts, runs or stops."""

    url, key, data_dir = "http://127.0.0.1:1", "mp_test", Path("data")

    def __init__(self, when: str) -> None:
        self._when = when

    def __enter__(self) -> Self:
        return self._reached("starts")

    def check(self) -> None:
        self._reached("runs")

    def __exit__(self, *_: object) -> None:
        self._reached("stops")

    def _reached(self, moment: str) -> Self:
        if moment == self._when or (moment, self._when) == ("runs", "stops"):
            raise KeyboardInterrupt
        return self


@pytest.mark.parametrize(("when", "code"), [("starts", 130), ("runs", 0), ("stops", 130)])
def test_ctrl_c_is_success_where_the_service_stops_in_order(
    when: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.embedded.Stack", lambda *_, **__: Interrupted(when))
    with pytest.raises(SystemExit) as caught:
        main(["up"])
    assert caught.value.code == code


@pytest.mark.long  # some ten seconds of work: a whole service starts
def test_ctrl_c_stops_a_whole_service_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.cli.main", "up", "--no-worker", "--port", "0"]
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Modelpress is up. Ctrl-C stops it.\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that belong to it
        assert process.stdout.read().endswith("Stopping …\n")
        assert process.wait(30) == 0
