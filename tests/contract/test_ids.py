"""Identifiers that sort by time."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from service.contract.ids import ULID_PATTERN, first_id, new_id


def test_ids_of_a_process_sort_in_the_order_they_were_made() -> None:
    made = [new_id("art") for _ in range(10_000)]
    assert made == sorted(set(made))


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: new_id("job"), range(4_000)))
    assert len(set(made)) == 4_000
    assert all(re.fullmatch(f"job_{ULID_PATTERN}", one) for one in made)


def test_an_id_carries_its_millisecond() -> None:
    now = datetime.now(UTC)
    made = new_id("mdl")
    assert first_id("mdl", now) <= made < first_id("mdl", now + timedelta(minutes=1))
