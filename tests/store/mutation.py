"""A function of the service with a few words of its source exchanged, for a while."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutation:
    """In `function`, `old` (which is there once) becomes `new`."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str


@contextmanager
def applied(mutation: Mutation) -> Iterator[None]:
    """The function itself changes, so that it does for everybody who has imported it."""
    function: Any = mutation.function
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutation.old) == 1, f"{mutation.name}: the guard reads otherwise now"
    code = compile(
        source.replace(mutation.old, mutation.new), function.__code__.co_filename, "exec"
    )
    made: dict[str, Any] = {}
    exec(code, function.__globals__, made)
    was = function.__code__
    function.__code__ = made[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = was
