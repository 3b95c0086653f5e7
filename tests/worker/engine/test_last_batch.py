"""No batch of one: batch norm has nothing to learn from it, and raises on maps of one pixel."""

import pytest
import torch

from worker.engine.data.batches import Batch, Batches
from worker.engine.data.split import Split

CPU = torch.device("cpu")


def sizes(examples: int, batch_size: int) -> list[int]:
    split = Split(torch.zeros(examples, 1, 2, 2), torch.zeros(examples, dtype=torch.int64))
    batches = Batches(split, batch_size, CPU, shuffle=True)
    seen = [len(batch) for batch in batches]
    assert len(batches) == len(seen)
    return seen


@pytest.mark.parametrize(
    ("examples", "batch_size", "expected"),
    [
        (9, 4, [4, 5]),
        (10, 4, [4, 4, 2]),
        (8, 4, [4, 4]),
        (3, 4, [3]),
        (5, 4, [5]),
        (1, 4, [1]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_a_last_example_joins_the_batch_before(
    examples: int, batch_size: int, expected: list[int]
) -> None:
    assert sizes(examples, batch_size) == expected


@pytest.mark.parametrize(
    ("examples", "count", "expected"), [(7, 3, [2, 2, 3]), (8, 3, [2, 3, 3]), (2, 4, [1, 1])]
)
def test_parts_of_a_batch_differ_by_one_at_most(
    examples: int, count: int, expected: list[int]
) -> None:
    rows = torch.arange(examples)
    parts = list(Batch(rows, rows, rows).chunks(count))
    assert [len(part) for part in parts] == expected
    assert torch.equal(torch.cat([part.positions for part in parts]), rows)
