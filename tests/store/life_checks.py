"""A database beside the model of `life_model.py`: what may happen, and what must hold after it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import delete, select

from service.contract.lifecycle import LEASED, MOVES, TERMINAL
from service.store.session import Database
from service.store.tables import (
    ArtifactRow,
    AttemptRow,
    DependencyRow,
    EventRow,
    JobRow,
    LogChunkRow,
    MetricPointRow,
    MetricStretchRow,
    ModelRow,
)
from tests.store.conftest import Watch
from tests.store.life_model import World

TABLES: Final = (
    *(JobRow, EventRow, AttemptRow, ArtifactRow, ModelRow),
    *(MetricPointRow, MetricStretchRow, LogChunkRow),
)


Method = TypeVar("Method", bound=Callable[..., None])


@dataclass(frozen=True)
class Act:
    """When it may happen, and what it is given."""

    may: Callable[[World], object]
    weight: int
    given: st.SearchStrategy[dict[str, Any]]


ACTS: Final[dict[str, Act]] = {}


def act(
    may: Callable[[World], object], *, weight: int = 1, **given: st.SearchStrategy[Any]
) -> Callable[[Method], Method]:
    """A method that may happen in a life, `weight` times as often as others."""

    def note(method: Method) -> Method:
        ACTS[method.__name__] = Act(may, weight, st.fixed_dictionaries(given))
        return method

    return note


class Checked(RuleBasedStateMachine):
    """A database and its model, compared after every step."""

    database: Database  # given by the test
    watch: Watch

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.numbers = itertools.count()
        with self.database.transaction() as session:
            session.execute(delete(JobRow))
            session.execute(delete(ModelRow))

    # The only rule: of many, Hypothesis leaves a good half out of each life to try what others do
    # without them, and a life in which nobody claims, or nobody submits, tells nothing.
    @rule(data=st.data())
    def happens(self, data: st.DataObject) -> None:
        may = [name for name, act in ACTS.items() if act.may(self.world)]
        names = [name for name in may for _ in range(ACTS[name].weight)]
        name = data.draw(st.sampled_from(names))
        getattr(self, name)(**data.draw(ACTS[name].given))

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        with self.database.read() as session:
            rows = {row.id: row for row in session.execute(select(JobRow.__table__))}
            waits = set(session.execute(select(DependencyRow.job_id, DependencyRow.on_id)).all())
        jobs = self.world.jobs
        assert rows.keys() == jobs.keys()
        assert waits == {(job.id, job.on) for job in jobs.values() if self.world.waits(job)}
        for job in jobs.values():
            row = rows[job.id]
            assert (row.status, row.run, row.attempt) == (job.status, len(job.runs), job.attempt)
            assert 0 <= row.attempt <= row.max_attempts
            assert (row.lease_until is not None) == (row.status in LEASED)
            assert (row.finished_at is not None) == (row.status in TERMINAL)
            assert (row.error and row.error["code"]) == job.error
            done = job.status == "succeeded"
            assert row.result == ({"run": len(job.runs)} if done else None)
            assert (row.model_id is not None) == done

    @invariant()
    def nothing_is_left_of_a_run_but_what_it_may_leave(self) -> None:
        with self.database.read() as session:
            columns = (ArtifactRow.job_id, ArtifactRow.kind, ArtifactRow.step)
            newest = (ArtifactRow.created_at.desc(), ArtifactRow.step.desc())
            files = session.execute(select(*columns).order_by(*newest)).all()
            attempts = session.execute(
                select(AttemptRow.job_id, AttemptRow.outcome).order_by(AttemptRow.run)
            ).all()
        for job in self.world.jobs.values():
            mine = [file for file in files if file.job_id == job.id]
            made = [file.kind for file in mine if file.kind != "checkpoint"]
            assert made == (["export"] if job.status == "succeeded" else [])
            steps = [file.step for file in mine if file.kind == "checkpoint"]
            assert steps == [step for _, step in job.checkpoints]
            assert [outcome for job_id, outcome in attempts if job_id == job.id] == job.runs

    @invariant()
    def events_tell_a_legal_life_without_gaps(self) -> None:
        with self.database.read() as session:
            rows = session.execute(
                select(EventRow.job_id, EventRow.seq, EventRow.type, EventRow.data).order_by(
                    EventRow.job_id, EventRow.seq
                )
            ).all()
        for job in self.world.jobs.values():
            mine = [row for row in rows if row.job_id == job.id]
            assert [row.seq for row in mine] == list(range(1, len(mine) + 1))
            told = [row.data["status"] for row in mine if row.type == "state"]
            assert told[0] == "queued"
            assert all(b in MOVES[a] for a, b in itertools.pairwise(told))
            assert told[-1] == job.status
            assert sum(status in TERMINAL for status in told) == (job.status in TERMINAL)

    def everything(self) -> list[object]:
        with self.database.read() as session:
            return [session.execute(select(table.__table__)).all() for table in TABLES]
