"""`Prefer: wait`."""

import asyncio

from service.api.prefer import settled
from service.store.errors import DatabaseUnavailable


def test_a_wait_outlives_a_database_that_goes_away() -> None:
    answers: list[str | None] = [None, None, "running", None, "succeeded"]

    def read() -> str:
        answer = answers.pop(0)
        if answer is None:
            raise DatabaseUnavailable("connection refused")
        return answer

    seen = asyncio.run(settled("queued", read, lambda it: it == "succeeded", 30, lambda: None))
    assert (seen, answers) == ("succeeded", [])


def test_a_wait_in_which_nothing_was_heard_ends_with_what_was_known() -> None:
    def read() -> str:
        raise DatabaseUnavailable("connection refused")

    assert asyncio.run(settled("queued", read, lambda it: it != "queued", 0.2, lambda: None)) == (
        "queued"
    )
