"""Lets resident processes run one at a time, in turns A B A B."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.engine.errors import EngineError, Stopped
from worker.engine.measure.contestant import Conditions, Contestant, Entry, ProcessFacts
from worker.engine.measure.latency import Latency


@dataclass(frozen=True)
class Timed:
    """An entry's latencies by batch size. `unsettled` are those whose warm-up came to no rest."""

    entry: Entry
    facts: ProcessFacts
    latencies: Mapping[int, Latency]
    unsettled: tuple[int, ...]


@dataclass(frozen=True)
class Skipped:
    """An entry that could not be run, and the fact in the way."""

    entry: Entry
    code: str
    reason: str


def contest(
    entries: Sequence[Entry],
    conditions: Conditions,
    *,
    batch_sizes: Sequence[int],
    warmup_s: float,
    blocks: int,
    block_s: float,
    should_stop: Callable[[], bool] = lambda: False,
    on_block: Callable[[], None] = lambda: None,
) -> tuple[list[Timed], list[Skipped]]:
    """Every entry in a process of its own, all resident, measured side by side.

    Block i of one entry pairs with block i of every other at the same batch size. Raises
    `Stopped`, since half a measurement is none.
    """
    with _started(entries, conditions) as (running, skipped):
        latencies: dict[Contestant, dict[int, Latency]] = {one: {} for one in running}
        unsettled: dict[Contestant, list[int]] = {one: [] for one in running}
        for batch_size in batch_sizes:
            for one in _loaded(running, skipped, batch_size):
                if not one.warm_up(warmup_s):
                    unsettled[one].append(batch_size)
            for one, taken in _turns(running, blocks, block_s, should_stop, on_block).items():
                latencies[one][batch_size] = Latency.from_samples(
                    [sample for turn in taken for sample in turn], [len(turn) for turn in taken]
                )
        facts: dict[Contestant, ProcessFacts] = {}
        for one in list(running):
            try:
                facts[one] = one.facts()
            except EngineError as error:
                skipped.append(Skipped(one.entry, error.code, str(error)))
    timed = [
        Timed(one.entry, found, latencies[one], tuple(unsettled[one]))
        for one, found in facts.items()
    ]
    return timed, skipped


@contextmanager
def _started(
    entries: Sequence[Entry], conditions: Conditions
) -> Iterator[tuple[list[Contestant], list[Skipped]]]:
    running: list[Contestant] = []
    skipped: list[Skipped] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, entry in enumerate(entries):
            folder = scratch / str(number)
            folder.mkdir()
            try:
                running.append(stack.enter_context(Contestant(entry, conditions, folder)))
            except EngineError as error:
                skipped.append(Skipped(entry, error.code, str(error)))
        yield running, skipped


def _loaded(running: list[Contestant], skipped: list[Skipped], batch_size: int) -> list[Contestant]:
    """Load each for a batch size; one that cannot leaves `running`."""
    for one in list(running):
        try:
            one.load(batch_size)
        except EngineError as error:
            running.remove(one)
            skipped.append(Skipped(one.entry, error.code, str(error)))
    return running


def _turns(
    running: Sequence[Contestant],
    blocks: int,
    block_s: float,
    should_stop: Callable[[], bool],
    on_block: Callable[[], None],
) -> dict[Contestant, list[list[float]]]:
    taken: dict[Contestant, list[list[float]]] = {one: [] for one in running}
    for number in range(blocks):
        # Who goes first changes, so that nobody always follows the same one.
        for one in running if number % 2 == 0 else reversed(running):
            if should_stop():
                raise Stopped
            taken[one].append(one.turn(block_s))
        on_block()
    return taken
