"""Every legal move is made, every other one is refused, and each leaves its event."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.contract.lifecycle import LEASED, MOVES, STATUSES, TERMINAL, JobStatus
from service.store.errors import InvalidMove, NotFound
from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.moves import move
from service.store.session import Database
from service.store.tables import JobRow
from service.store.values import (
    Cancelled,
    Failed,
    NewEvent,
    NewJob,
    Outcome,
    Paused,
    Released,
    Succeeded,
)
from tests.store.conftest import Jobs
from tests.store.samples import CRASH, LEASE_S, WORKER

ILLEGAL = [(a, b) for a in STATUSES for b in STATUSES if b not in MOVES[a]]


def test_every_move_that_is_not_in_the_table_is_refused(jobs: Jobs) -> None:
    for source, target in ILLEGAL:
        with (
            pytest.raises(AssertionError, match="no legal move"),
            jobs.database.transaction() as session,
        ):
            move(session, "job_" + "0" * 26, target, {source}, jobs.watch())


@pytest.mark.parametrize("status", STATUSES)
def test_a_legal_move_from_another_state_changes_nothing(jobs: Jobs, status: JobStatus) -> None:
    job = jobs.in_state(status)
    for other in set(STATUSES) - {status}:
        for target in MOVES[other]:
            with jobs.database.transaction() as session:
                assert move(session, job.id, target, {other}, jobs.watch()) is None
    assert jobs.row(job.id).status == status


Request = Callable[[JobStore, str], JobRow]
CANCEL: Request = lambda jobs, job_id: jobs.request_cancel(job_id, "p")  # noqa: E731
PAUSE: Request = lambda jobs, job_id: jobs.request_pause(job_id, "p")  # noqa: E731
RESUME: Request = lambda jobs, job_id: jobs.resume(job_id, "p")  # noqa: E731

# what a request makes of each state; a state that is missing refuses it
CANCELS: dict[JobStatus, JobStatus] = {
    "queued": "cancelled",
    "paused": "cancelled",
    "running": "cancelling",
    "pausing": "cancelling",
    "cancelling": "cancelling",
    "cancelled": "cancelled",
}
PAUSES: dict[JobStatus, JobStatus] = {
    "queued": "paused",
    "running": "pausing",
    "pausing": "pausing",
    "paused": "paused",
}
RESUMES: dict[JobStatus, JobStatus] = {"paused": "queued"}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("request_", "expected"), [(CANCEL, CANCELS), (PAUSE, PAUSES), (RESUME, RESUMES)]
)
def test_a_request_is_granted_or_refused_by_the_state(
    jobs: Jobs, status: JobStatus, request_: Request, expected: dict[JobStatus, JobStatus]
) -> None:
    job = jobs.in_state(status)
    if status in expected:
        row = jobs.do(lambda store: request_(store, job.id))
        assert row.status == expected[status]
    else:
        with pytest.raises(InvalidMove):
            jobs.do(lambda store: request_(store, job.id))
        assert jobs.row(job.id).status == status


# what an outcome makes of each state in which a worker holds the job; None: not written
OUTCOMES: list[tuple[Outcome, dict[JobStatus, JobStatus | None]]] = [
    (
        Succeeded({}),
        {"running": "succeeded", "cancelling": "succeeded", "pausing": "succeeded"},
    ),
    (Failed(CRASH), {"running": "failed", "cancelling": None, "pausing": "failed"}),
    (
        Failed(CRASH, retry=True),
        {"running": "queued", "cancelling": None, "pausing": "paused"},
    ),
    (Cancelled(), {"running": None, "cancelling": "cancelled", "pausing": None}),
    (Paused(), {"running": None, "cancelling": None, "pausing": "paused"}),
    (Released(), {"running": "queued", "cancelling": None, "pausing": None}),
]


@pytest.mark.parametrize("status", sorted(LEASED))
@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_an_outcome_ends_a_run_as_its_state_allows(
    jobs: Jobs,
    status: JobStatus,
    outcome: Outcome,
    expected: dict[JobStatus, JobStatus | None],
) -> None:
    job = jobs.in_state(status)
    moved = jobs.do(lambda store: store.finish(job.id, job.run, outcome))
    assert (None if moved is None else moved.status) == expected[status]
    assert jobs.row(job.id).status == (expected[status] or status)


@pytest.mark.parametrize("status", sorted(TERMINAL | {"queued", "paused"}))
def test_nothing_can_be_finished_that_nobody_runs(jobs: Jobs, status: JobStatus) -> None:
    job = jobs.in_state(status)
    for outcome, _ in OUTCOMES:
        assert jobs.do(lambda s, outcome=outcome: s.finish(job.id, job.run, outcome)) is None  # type: ignore[misc]
    assert jobs.row(job.id).status == status


def test_pause_and_drain_give_the_attempt_back_and_a_failure_does_not(jobs: Jobs) -> None:
    job = jobs.in_state("paused")
    assert jobs.row(job.id).attempt == 0
    jobs.do(lambda store: store.resume(job.id, "p"))
    second = jobs.claimed()
    jobs.do(lambda store: store.finish(job.id, second.run, Released()))
    third = jobs.claimed()
    assert (third.run, third.attempt) == (3, 1)
    jobs.do(lambda store: store.finish(job.id, third.run, Failed(CRASH, retry=True)))
    assert jobs.row(job.id).attempt == 1
    outcomes = [attempt.outcome for attempt in jobs.attempts(job.id)]
    assert outcomes == ["paused", "queued", "queued"]


def test_queue_and_run_time_are_separate_clocks(jobs: Jobs) -> None:
    job_id = jobs.add()
    jobs.watch.pass_(3)
    first = jobs.claimed()
    jobs.watch.pass_(5)
    jobs.do(lambda store: store.finish(job_id, first.run, Released()))
    jobs.watch.pass_(7)
    second = jobs.claimed()
    jobs.watch.pass_(11)
    jobs.do(lambda store: store.finish(job_id, second.run, Succeeded({})))
    row = jobs.row(job_id)
    assert (row.queue_seconds, row.run_seconds) == (10.0, 16.0)
    assert row.started_at is not None
    assert row.finished_at == jobs.watch()


def test_a_success_keeps_result_and_figures(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    done = Succeeded({"kind": "train"}, {"test_accuracy": 0.5})
    jobs.do(lambda store: store.finish(job.id, job.run, done))
    row = jobs.row(job.id)
    assert (row.result, row.metrics) == ({"kind": "train"}, {"test_accuracy": 0.5})


def test_another_projects_job_cannot_be_touched(jobs: Jobs) -> None:
    job_id = jobs.add("p")
    for request in (
        lambda s: s.request_cancel(job_id, "q"),
        lambda s: s.request_pause(job_id, "q"),
        lambda s: s.resume(job_id, "q"),
        lambda s: s.delete(job_id, "q"),
        lambda s: s.get(job_id, "q"),
    ):
        with pytest.raises(NotFound):
            jobs.do(request)


def test_events_of_a_job_are_numbered_without_gaps_under_concurrency(database: Database) -> None:
    job = NewJob("p", "train", {})
    with database.transaction() as session:
        JobStore(session).add(job)
        claimed = JobStore(session).claim(WORKER, LEASE_S)
    assert claimed is not None

    def write(number: int) -> None:
        for _ in range(5):
            with database.transaction() as session:
                events = [NewEvent("epoch", {"writer": number}), NewEvent("phase", {})]
                assert JobStore(session).record(job.id, claimed.run, events=events)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    with database.read() as session:
        events = EventStore(session).list(job.id)
        assert [event.seq for event in events] == list(range(1, 2 + 60 + 1))
        everything = EventStore(session).since(0)
        assert sorted(event.seq for event in everything) == list(range(1, 63))
        assert EventStore(session).last_id() == everything[-1].id


def test_the_terminal_event_is_known_only_when_it_is_over(jobs: Jobs) -> None:
    job = jobs.in_state("running")
    assert jobs.do(lambda store: store.terminal_event_seq(job.id)) is None
    jobs.do(lambda store: store.finish(job.id, job.run, Succeeded({})))
    assert jobs.do(lambda store: store.terminal_event_seq(job.id)) == 3
