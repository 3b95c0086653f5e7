"""Jobs that share the machine, and one that wants it alone."""

import threading
from pathlib import Path

import pytest

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
