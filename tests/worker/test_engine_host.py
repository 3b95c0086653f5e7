from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.worker.starter import Starter, ended, gone, heard, until
from worker.channel import ChannelError
from worker.engine_host import EngineHost, EngineHostError
from worker.isolation import Limits


def test_a_child_talks_and_its_exit_code_arrives(start: Starter) -> None:
    child = start("echo")
    child.channel.send({"hello": "child"})
    assert heard(child) == {"hello": "child"}
    child.channel.send({"exit": 7})
    status = ended(child)
    assert (status.code, status.signal, status.killed_by) == (7, None, None)
    assert status.max_rss_bytes is not None
    assert status.max_rss_bytes > 1 << 20
    assert child.channel.receive(5) is None
    assert child.rss_bytes() == 0


def test_wait_on_a_running_child_gives_up(start: Starter) -> None:
    assert start("sleep").wait(0.01) is None


def test_a_segfault_ends_one_child_and_leaves_its_trace_in_the_log(start: Starter) -> None:
    bystander = start("echo")
    server_pid = start.host.server_pid
    status = ended(start("segfault"))
    assert (status.code, status.signal, status.killed_by) == (None, signal.SIGSEGV, None)
    assert "Fatal Python error: Segmentation fault" in start.logs()
    assert start.host.server_pid == server_pid
    bystander.channel.send({"still": "here"})
    assert heard(bystander) == {"still": "here"}


def test_an_uncaught_error_is_code_1_and_stands_in_the_log(start: Starter) -> None:
    assert ended(start("crash")).code == 1
    assert "about to fail" in start.logs()
    assert "RuntimeError: as it should" in start.logs()


def test_a_child_that_babbles_is_a_channel_error(start: Starter) -> None:
    child = start("babble")
    with pytest.raises(ChannelError):
        child.channel.receive(5)


def test_an_entry_that_does_not_exist_is_an_error_at_spawn(start: Starter) -> None:
    with pytest.raises(EngineHostError, match="before it began"):
        start("nobody_wrote_this")
    assert "nobody_wrote_this" in start.logs()


def test_kill_ends_grandchildren_too(start: Starter) -> None:
    child = start("with_grandchildren")
    pids = heard(child)["pids"]
    child.kill()
    status = ended(child)
    assert (status.signal, status.killed_by) == (signal.SIGKILL, "kill")
    until(lambda: all(gone(pid) for pid in pids))


def test_what_a_child_leaves_behind_ends_with_it(start: Starter) -> None:
    child = start("with_grandchildren")
    pids = heard(child)["pids"]
    child.channel.send({"leave": True})
    assert ended(child).code == 3
    until(lambda: all(gone(pid) for pid in pids))


def test_terminate_ends_a_child_that_handles_no_signal(start: Starter) -> None:
    child = start("sleep")
    child.terminate()
    status = ended(child)
    assert (status.signal, status.killed_by) == (signal.SIGTERM, "kill")


def test_the_memory_watch_kills_what_grows_past_its_limit(start: Starter) -> None:
    bystander = start("sleep", memory_limit_bytes=256 << 20)
    child = start("grow", memory_limit_bytes=128 << 20)
    status = ended(child, timeout=60)
    assert (status.signal, status.killed_by) == (signal.SIGKILL, "memory")
    assert bystander.wait(0) is None


def test_a_deadline_ends_a_child_that_overstays(start: Starter) -> None:
    began = time.monotonic()
    status = ended(start("burn", deadline_s=0.3))
    assert (status.signal, status.killed_by) == (signal.SIGKILL, "deadline")
    assert time.monotonic() - began >= 0.3


def test_a_deadline_stands_still_with_the_clock_of_a_child_that_waits(start: Starter) -> None:
    child = start("sleep", deadline_s=0.2)
    child.stop_clock()
    assert child.wait(0.5) is None
    assert child.start_clock() >= 0.5
    assert child.start_clock() == 0.0
    assert ended(child).killed_by == "deadline"


def test_fifty_children_start_at_once(start: Starter) -> None:
    with ThreadPoolExecutor(10) as pool:
        children = list(pool.map(lambda _: start("echo"), range(50)))
    assert len({child.pid for child in children}) == 50
    for number, child in enumerate(children):
        child.channel.send({"number": number})
    assert [heard(child)["number"] for child in children] == list(range(50))


def test_limits_are_refused_for_a_job(start: Starter) -> None:
    with pytest.raises(ValueError, match="intake"):
        start("echo", limits=Limits(cpu_s=1))


def test_a_dead_server_takes_its_children_along_and_is_replaced(tmp_path: Path) -> None:
    with EngineHost(tmp_path, preload=()) as host:
        host.wait_ready(30)
        start = Starter(host, tmp_path)
        child = start("with_grandchildren")
        pids = heard(child)["pids"]
        first = host.server_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        status = ended(child)
        assert (status.code, status.signal, status.killed_by) == (None, signal.SIGKILL, None)
        until(lambda: all(gone(pid) for pid in [child.pid, *pids]))
        until(lambda: host.ready and host.server_pid != first)
        successor = start("echo")
        successor.channel.send({"exit": 0})
        assert ended(successor).ok
        start.close()


def test_close_ends_everything_and_refuses_more(tmp_path: Path) -> None:
    host = EngineHost(tmp_path, preload=())
    host.start()
    host.wait_ready(30)
    child = Starter(host, tmp_path)("with_grandchildren")
    pids = [child.pid, *heard(child)["pids"], host.server_pid]
    host.close()
    host.close()
    assert ended(child, 0).killed_by == "kill"
    until(lambda: all(gone(pid) for pid in pids))
    child.channel.close()
    with pytest.raises(EngineHostError, match="closed"):
        host.spawn(tmp_path, "job", log_path=tmp_path / "log")


def test_close_does_not_wait_for_a_server_that_still_loads(tmp_path: Path) -> None:
    host = EngineHost(tmp_path, preload=("tests.worker.slow_module",))
    host.start()
    host.close()
    assert not host.ready


def test_a_module_that_does_not_import_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    with EngineHost(tmp_path, preload=("json", "no_such_module")) as host:
        host.wait_ready(30)
        assert host.missing == {
            "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'"
        }


def test_torch_works_in_a_child_of_a_server_with_everything_loaded(tmp_path: Path) -> None:
    with EngineHost(tmp_path) as host:
        host.wait_ready(120)
        assert host.missing == {}
        threads = Path(f"/proc/{host.server_pid}/task")
        start = Starter(host, tmp_path)
        first = heard(start("multiply"), 60)
        assert first == {
            "product": 512.0**3,
            "exponent": float(1 << 20),
            "numpy": 512.0**3,
            "threads": 2,
        }
        assert heard(start("multiply"), 60) == first
        assert len(list(threads.iterdir())) == 1
        start.close()
