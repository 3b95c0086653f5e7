"""Lets resident processes run one at a time, in turns A B A B."""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from worker.engine.errors import EngineError, Stopped
from worker.engine.measure.contestant import (
    Conditions,
    Contestant,
    Energy,
    Entry,
    ProcessFacts,
)
from worker.engine.measure.latency import Latency
from worker.engine.measure.runtimes import RUNTIMES


@dataclass(frozen=True)
class Timed:
    """An entry's latencies by batch size. `unsettled` are those whose warm-up came to no rest.

    `energies` are by batch size too, where the device counts; `classes` are those of the inputs
    that `contest` was given.
    """

    entry: Entry
    facts: ProcessFacts
    latencies: Mapping[int, Latency]
    unsettled: tuple[int, ...]
    energies: Mapping[int, Energy] = field(default_factory=dict)
    classes: Tensor | None = None


@dataclass(frozen=True)
class Skipped:
    """An entry that could not be run, and the fact in the way."""

    entry: Entry
    code: str
    reason: str


@dataclass(eq=False)
class _Team:
    """The processes of one entry, and what was seen of them."""

    entry: Entry
    processes: tuple[Contestant, ...]
    latencies: dict[int, Latency] = field(default_factory=dict)
    unsettled: list[int] = field(default_factory=list)

    def prepare(self, batch_size: int, warmup_s: float) -> None:
        """Raises what the runtime raises."""
        for one in self.processes:
            one.load(batch_size)
        stable = [one.warm_up(warmup_s) for one in self.processes]
        if not all(stable):
            self.unsettled.append(batch_size)

    def facts(self) -> ProcessFacts:
        """Memory of the process that took most, the median cold start; where a start compiles,
        that of the one which had to. Raises `NotExportable`."""
        found = [one.facts() for one in self.processes]
        typical = max if RUNTIMES[self.entry.runtime].compiles else statistics.median
        return replace(
            max(found, key=lambda facts: facts.peak_rss_bytes),
            cold_start_s=typical(facts.cold_start_s for facts in found),
            max_abs_difference=max(facts.max_abs_difference for facts in found),
        )

    def energies(self) -> dict[int, Energy]:
        """Of all processes together."""
        found: dict[int, Energy] = {}
        for one in self.processes:
            for batch_size, spent in one.energies.items():
                found[batch_size] = spent + found.get(batch_size)
        return found

    def close(self) -> None:
        """End the processes, whose memory the others may need. Twice is as once."""
        for one in self.processes:
            one.close()


def contest(
    entries: Sequence[Entry],
    conditions: Conditions,
    *,
    batch_sizes: Sequence[int],
    warmup_s: float,
    blocks: int,
    block_s: float,
    executions: int = 1,
    inputs: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_block: Callable[[], None] = lambda: None,
) -> tuple[list[Timed], list[Skipped]]:
    """Every entry in processes of its own, all resident, measured side by side.

    Block i of one entry pairs with block i of every other at the same batch size; each of an
    entry's `executions` has as many blocks. In the end each entry classifies `inputs`, the tensor
    `x` of a safetensors file, at the last batch size. Raises `Stopped`, since half a measurement is
    none.
    """
    with _started(entries, conditions, executions) as (teams, skipped):
        for batch_size in batch_sizes:
            _prepared(teams, skipped, batch_size, warmup_s)
            taken = _turns(teams, skipped, blocks, block_s, should_stop, on_block)
            for team in teams:
                samples = [taken[one] for one in team.processes]
                team.latencies[batch_size] = Latency.from_executions(samples)
        timed: list[Timed] = []
        for team in teams:
            try:
                facts = team.facts()
                classes = team.processes[0].classes(inputs) if inputs else None
            except EngineError as error:
                skipped.append(Skipped(team.entry, error.code, str(error)))
            else:
                unsettled, spent = tuple(team.unsettled), team.energies()
                timed.append(Timed(team.entry, facts, team.latencies, unsettled, spent, classes))
    return timed, skipped


@contextmanager
def _started(
    entries: Sequence[Entry], conditions: Conditions, executions: int
) -> Iterator[tuple[list[_Team], list[Skipped]]]:
    teams: list[_Team] = []
    skipped: list[Skipped] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, entry in enumerate(entries):
            folder = scratch / str(number)  # one file for all: the first process writes it
            folder.mkdir()
            try:
                processes = tuple(
                    stack.enter_context(Contestant(entry, conditions, folder))
                    for _ in range(executions)
                )
            except EngineError as error:
                skipped.append(Skipped(entry, error.code, str(error)))
            else:
                teams.append(_Team(entry, processes))
        yield teams, skipped


def _prepared(teams: list[_Team], skipped: list[Skipped], batch_size: int, warmup_s: float) -> None:
    """Load and warm up each; one that cannot leaves `teams`."""
    for team in list(teams):
        try:
            team.prepare(batch_size, warmup_s)
        except EngineError as error:
            _left_out(team, error, teams, skipped)


def _left_out(team: _Team, error: EngineError, teams: list[_Team], skipped: list[Skipped]) -> None:
    teams.remove(team)
    team.close()
    skipped.append(Skipped(team.entry, error.code, str(error)))


def _turns(
    teams: list[_Team],
    skipped: list[Skipped],
    blocks: int,
    block_s: float,
    should_stop: Callable[[], bool],
    on_block: Callable[[], None],
) -> dict[Contestant, list[list[float]]]:
    """Samples [turn][sample] of each process; a team of which one dies leaves `teams`."""
    in_order = [
        (team, one)
        for each in zip(*(team.processes for team in teams), strict=True)
        for team, one in zip(list(teams), each, strict=True)
    ]
    taken: dict[Contestant, list[list[float]]] = {one: [] for _, one in in_order}
    for number in range(blocks):
        # Who goes first changes, so that nobody always follows the same one.
        for team, one in in_order if number % 2 == 0 else reversed(in_order):
            if should_stop():
                raise Stopped
            if team not in teams:
                continue
            try:
                taken[one].append(one.turn(block_s))
            except EngineError as error:
                _left_out(team, error, teams, skipped)
        on_block()
    return taken
