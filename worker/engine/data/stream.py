"""Work done ahead of the one who waits for it."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def made_ahead(
    make: Callable[[Item], Made], items: Iterable[Item], *, workers: int, ahead: int
) -> Generator[Made, None, None]:
    """`make(item)` for each item in order, up to `ahead` of them begun before they are asked for.

    Threads, because what they wait for is the disk, and the tensor operations around it let go of
    the interpreter. An exception of `make` is raised where its result would have come. Closing
    the iterator ends the threads after what they have in hand.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
