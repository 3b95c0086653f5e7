"""Looking for an amount among those that can be, where more of it changes the answer once."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def first_where(holds: Callable[[T], bool], ordered: Sequence[T]) -> int | None:
    """Index of the first item for which `holds`, given that it holds for all after it too.

    Asks about log2 of the items. None if it holds for none.
    """
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if holds(ordered[middle]):
            high = middle
        else:
            low = middle + 1
    return low if low < len(ordered) else None


def last_where(holds: Callable[[T], bool], ordered: Sequence[T]) -> int | None:
    """Index of the last item for which `holds`, given that it holds for all before it too."""
    stop = first_where(lambda item: not holds(item), ordered)
    if stop is None:
        return len(ordered) - 1 if ordered else None
    return stop - 1 if stop else None
