"""Threads that do what is due: what they outlive, and when they end."""

import logging
import threading

import pytest

from service.blobs import StorageUnavailable
from service.errands import Errands
from service.store.errors import DatabaseUnavailable
from tests.waiting import wait_until


def test_a_thread_outlives_whatever_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    troubles = [ZeroDivisionError("zero"), DatabaseUnavailable("gone"), StorageUnavailable("out")]
    done = threading.Event()

    def do_one() -> bool:
        if troubles:
            raise troubles.pop()
        done.set()
        return False

    errands = Errands("odd jobs", do_one, pause_s=0.001, unavailable=(StorageUnavailable,))
    with caplog.at_level(logging.WARNING):
        errands.start()
        assert done.wait(10)
        errands.close()
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "WARNING", "ERROR"]
    assert "odd jobs: what it needs does not answer (gone)" in caplog.text


def test_while_there_is_something_to_do_nothing_pauses() -> None:
    left = list(range(100))
    errands = Errands("odd jobs", lambda: bool(left) and left.pop() >= 0, pause_s=3600)
    errands.start()
    wait_until(lambda: not left, 10, "all to be done")
    errands.close()


def test_one_that_waits_first_does_nothing_when_it_is_closed_at_once() -> None:
    done: list[str] = []

    def work() -> bool:
        done.append("once")
        return False

    errands = Errands("odd jobs", work, pause_s=3600, waits_first=True)
    errands.start()
    errands.close()
    assert done == []


def test_several_threads_share_the_work_and_all_end() -> None:
    begun = threading.Barrier(3)

    def do_one() -> bool:
        begun.wait(10)
        return False

    errands = Errands("odd jobs", do_one, threads=3, pause_s=3600)
    errands.start()
    wait_until(lambda: begun.n_waiting == 0, 10, "all three to have met")
    errands.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("odd jobs") for name in names)
