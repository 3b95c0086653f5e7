"""Who may draw a document, and who has to come again."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.drawing import Turns
from service.errors import Unavailable
from tests.waiting import wait_until


def test_few_are_drawn_at_once_and_none_twice() -> None:
    turns = Turns(at_once=2, waiting=1, patience_s=0.0)
    with turns.of("a"):
        with pytest.raises(Unavailable), turns.of("a"):
            pass
        with turns.of("b"), pytest.raises(Unavailable), turns.of("c"):
            pass
        with turns.of("c"):
            pass
    with turns.of("a"):
        pass


def test_who_waits_is_next_and_one_too_many_is_refused_at_once() -> None:
    turns = Turns(at_once=1, waiting=1, patience_s=60.0)

    def draw() -> str:
        with turns.of("a"):
            return "drawn"

    with ThreadPoolExecutor(1) as pool, ExitStack() as first:
        first.enter_context(turns.of("a"))
        second = pool.submit(draw)
        wait_until(lambda: turns.waiting == 1, 5, "the second")
        with pytest.raises(Unavailable), turns.of("a"):
            pass
        first.close()
        assert second.result(30) == "drawn"
    assert turns.waiting == 0
