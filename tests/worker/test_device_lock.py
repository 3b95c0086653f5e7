"""Jobs that share the machine, and one that wants it alone."""

import ast
import threading
from pathlib import Path

import pytest

from worker import child, handlers
from worker.channel import Channel, pair
from worker.device_lock import DeviceLock
from worker.engine.errors import Stopped

_DEADLINE_S = 10.0


def never() -> bool:
    return False


def test_a_timing_is_alone_and_the_others_go_on_afterwards(tmp_path: Path) -> None:
    working, ended, gone_on = threading.Event(), threading.Event(), threading.Event()
    steps: list[str] = []

    def train() -> None:
        with DeviceLock(tmp_path) as lock:
            lock.share(never)
            while not ended.is_set():
                lock.give_way(never)
                steps.append("step")
                working.set()
            gone_on.set()

    thread = threading.Thread(target=train)
    thread.start()
    assert working.wait(_DEADLINE_S)
    with DeviceLock(tmp_path) as lock, lock.alone(never):
        before = len(steps)
        with pytest.raises(Stopped), DeviceLock(tmp_path) as late:
            late.share(lambda: True)  # a job that comes now would wait
        assert len(steps) == before
        ended.set()
        assert not gone_on.is_set()
    assert gone_on.wait(_DEADLINE_S)
    thread.join(_DEADLINE_S)


def test_two_timings_are_one_after_the_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def measure() -> None:
        with DeviceLock(tmp_path) as lock:
            lock.share(never)
            with lock.alone(never):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_DEADLINE_S)
    assert most == [1, 1, 1, 1]


def test_a_timing_that_waits_can_be_stopped_and_lets_the_others_be(tmp_path: Path) -> None:
    with DeviceLock(tmp_path) as busy, DeviceLock(tmp_path) as waiting:
        busy.share(never)
        with pytest.raises(Stopped), waiting.alone(lambda: True):
            raise AssertionError("it was not alone")
        busy.give_way(never)


def test_who_is_alone_gives_no_way_and_may_ask_again(tmp_path: Path) -> None:
    with DeviceLock(tmp_path) as lock, lock.alone(never), lock.alone(never):
        lock.give_way(never)
        with pytest.raises(Stopped), DeviceLock(tmp_path) as late:
            late.share(lambda: True)


def test_a_timing_that_fails_shares_again(tmp_path: Path) -> None:
    with DeviceLock(tmp_path) as lock, DeviceLock(tmp_path) as other:
        with pytest.raises(ZeroDivisionError), lock.alone(never):
            raise ZeroDivisionError
        other.share(never)
        with pytest.raises(Stopped), other.alone(lambda: True):
            raise AssertionError("the first one still works")


def test_a_child_of_any_kind_says_how_long_it_waits(tmp_path: Path) -> None:
    ours, socket = pair(send_timeout_s=10)
    theirs = Channel(socket)
    begun, over = threading.Event(), threading.Event()

    def job() -> None:
        with child._sharing(theirs, tmp_path / "job"):
            begun.set()
            over.wait(_DEADLINE_S)

    thread = threading.Thread(target=job)
    with DeviceLock(tmp_path) as lock:
        with lock.alone(never):
            thread.start()
            assert ours.receive(_DEADLINE_S) == {"type": "waiting"}
            assert not begun.is_set()
        assert ours.receive(_DEADLINE_S) == {"type": "going_on"}
        assert begun.wait(_DEADLINE_S)
        with pytest.raises(Stopped), lock.alone(lambda: True):
            raise AssertionError("the job works")
    over.set()
    thread.join(_DEADLINE_S)
    ours.close()
    theirs.close()


def test_handlers_time_nothing_unless_they_are_alone() -> None:
    """Benchmarks call `_measure` alone, whose `contest` is therefore left out here."""
    timers = {"contest", "measure_interleaved"}
    found = []
    for file in Path(handlers.__path__[0]).glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        alone = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.With) and "job.alone()" in ast.unparse(node.items[0])
        ]
        inside = {id(node) for block in alone for node in ast.walk(block)}
        found += [
            (file.stem, id(node) in inside)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in timers
        ]
    assert [name for name, is_alone in found if not is_alone] == ["benchmark"]
    assert len(found) >= 4
