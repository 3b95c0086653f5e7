"""Searching among possible amounts."""

import pytest

from worker.engine.prune.search import first_where, last_where


@pytest.mark.parametrize("size", [0, 1, 2, 7, 128])
def test_the_boundary_is_found_wherever_it_is(size: int) -> None:
    items = list(range(size))
    for boundary in range(size + 1):
        asked: list[int] = []

        def holds(item: int, boundary: int = boundary, asked: list[int] = asked) -> bool:
            asked.append(item)
            return item >= boundary

        assert first_where(holds, items) == (boundary if boundary < size else None)
        assert len(asked) <= size.bit_length()
        assert last_where(boundary.__gt__, items) == (boundary - 1 if boundary else None)
