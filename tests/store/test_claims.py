"""Who gets which job, and what happens to leases."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import event, select

from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.limits import Limits, LimitStore
from service.store.migrate import upgrade
from service.store.session import Database
from service.store.tables import JobRow
from service.store.values import ClaimingWorker, Failed, NewEvent, NewJob, Released, Succeeded
from service.store.workers import WorkerStore
from tests.store.conftest import Jobs
from tests.store.samples import CRASH, GPU, LEASE_S, OTHER, WORKER, worker_row


def test_a_claim_raises_run_and_attempt_and_takes_a_lease(jobs: Jobs) -> None:
    job_id = jobs.add()
    jobs.watch.pass_(4)
    claimed = jobs.claimed()
    row = jobs.row(job_id)
    assert (claimed.id, claimed.run, claimed.attempt) == (job_id, 1, 1)
    assert (row.status, row.worker_id, row.queue_seconds) == ("running", WORKER.id, 4.0)
    assert row.lease_until is not None
    assert (row.lease_until - jobs.watch()).total_seconds() == LEASE_S
    assert jobs.claim() is None


def test_every_job_is_claimed_once_by_eight_threads(database: Database) -> None:
    with database.transaction() as session:
        for _ in range(40):
            JobStore(session).add(NewJob("p", "train", {}))
    together = threading.Barrier(8)

    def take_all(number: int) -> list[str]:
        worker = ClaimingWorker(f"wrk_{number:026}", "cpu", frozenset())
        taken: list[str] = []
        together.wait()
        while True:
            with database.transaction() as session:
                claimed = JobStore(session).claim(worker, LEASE_S)
            if claimed is None:
                return taken
            taken.append(claimed.id)

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for many in pool.map(take_all, range(8)) for job_id in many]
    assert len(taken) == 40
    assert Counter(taken).most_common(1)[0][1] == 1


def test_fairness_goes_before_priority_and_priority_before_age(jobs: Jobs) -> None:
    busy = jobs.add("busy")
    assert jobs.claimed().id == busy
    older = jobs.add("busy")
    jobs.watch.pass_(1)
    younger = jobs.add("idle")
    urgent = jobs.add("busy", priority=9)
    order = [jobs.claimed().id for _ in range(3)]
    assert order == [younger, urgent, older]


def test_a_job_that_nobody_here_can_run_blocks_nobody(jobs: Jobs) -> None:
    jobs.add(priority=9, device="cuda")
    jobs.add(priority=9, requires=("runtime:tensorrt",))
    plain = jobs.add(priority=0, requires=("kind:train",))
    assert jobs.claimed().id == plain
    assert jobs.claim() is None


def test_a_cuda_worker_takes_jobs_of_every_device(jobs: Jobs) -> None:
    made = {jobs.add(device="cuda"), jobs.add(device="cpu"), jobs.add(device="auto")}
    assert {jobs.claimed(GPU).id for _ in range(3)} == made


def test_a_failed_try_waits_before_the_next_one(jobs: Jobs) -> None:
    jobs.add()
    first = jobs.claimed()
    jobs.do(lambda store: store.finish(first.id, first.run, Failed(CRASH, retry=True)))
    assert jobs.claim() is None
    jobs.watch.pass_(60)
    second = jobs.claimed()
    assert (second.run, second.attempt) == (2, 2)


def test_a_heartbeat_extends_the_lease_and_tells_the_status(jobs: Jobs) -> None:
    job_id = jobs.add()
    claimed = jobs.claimed()
    jobs.watch.pass_(LEASE_S - 1)
    leases = [(job_id, claimed.run), ("job_" + "0" * 26, 1)]
    heard = jobs.do(lambda store: store.heartbeat(WORKER.id, leases, LEASE_S))
    assert heard == {job_id: "running", "job_" + "0" * 26: None}
    jobs.watch.pass_(LEASE_S - 1)
    assert jobs.do(lambda store: store.lapsed(10)) == []
    jobs.do(lambda store: store.request_cancel(job_id, "p"))
    heard = jobs.do(lambda store: store.heartbeat(WORKER.id, leases[:1], LEASE_S))
    assert heard == {job_id: "cancelling"}


def test_a_fenced_out_run_changes_nothing(jobs: Jobs) -> None:
    job_id = jobs.add()
    zombie = jobs.claimed()
    jobs.watch.pass_(LEASE_S + 1)
    jobs.do(lambda store: store.rescue(job_id, zombie.run))
    alive = jobs.claimed(OTHER)
    before = _everything(jobs, job_id)
    assert jobs.do(lambda s: s.heartbeat(WORKER.id, [(job_id, zombie.run)], LEASE_S)) == {
        job_id: None
    }
    assert not jobs.do(
        lambda s: s.record(job_id, zombie.run, log=b"x", events=[NewEvent("epoch", {})])
    )
    for outcome in (Succeeded({"a": 1}), Failed(CRASH), Released()):
        assert jobs.do(lambda s, outcome=outcome: s.finish(job_id, zombie.run, outcome)) is None  # type: ignore[misc]
    assert _everything(jobs, job_id) == before
    assert jobs.do(lambda s: s.finish(job_id, alive.run, Succeeded({"b": 2}))) is not None
    assert jobs.row(job_id).result == {"b": 2}


def test_a_run_before_a_drain_is_fenced_out_although_the_attempt_was_given_back(
    jobs: Jobs,
) -> None:
    job_id = jobs.add()
    drained = jobs.claimed()
    jobs.do(lambda s: s.finish(job_id, drained.run, Released()))
    again = jobs.claimed()
    assert (again.run, again.attempt) == (2, 1)
    assert jobs.do(lambda s: s.finish(job_id, drained.run, Succeeded({}))) is None


def test_a_lost_worker_gives_the_job_back_until_attempts_run_out(jobs: Jobs) -> None:
    job_id = jobs.add(max_attempts=2)
    for attempt, then in ((1, "queued"), (2, "failed")):
        claimed = jobs.claimed()
        assert claimed.attempt == attempt
        assert jobs.do(lambda s, run=claimed.run: s.rescue(job_id, run)) is None  # type: ignore[misc]
        jobs.watch.pass_(LEASE_S + 1)
        assert jobs.do(lambda s: s.lapsed(10)) == [(job_id, claimed.run)]
        moved = jobs.do(lambda s, run=claimed.run: s.rescue(job_id, run))  # type: ignore[misc]
        assert moved is not None
        assert moved.status == then
    row = jobs.row(job_id)
    assert row.error is not None
    assert row.error["code"] == "worker_lost"
    assert row.run_seconds == 2 * (LEASE_S + 1)


def test_a_lost_worker_completes_a_cancel_and_a_pause(jobs: Jobs) -> None:
    for asked, then in (("cancelling", "cancelled"), ("pausing", "paused")):
        job = jobs.in_state(asked)  # type: ignore[arg-type]
        jobs.watch.pass_(LEASE_S + 1)
        moved = jobs.do(lambda s, job=job: s.rescue(job.id, job.run))  # type: ignore[misc]
        assert moved is not None
        assert moved.status == then


def test_a_queued_job_says_what_it_waits_for(jobs: Jobs) -> None:
    job_id = jobs.add(requires=("kind:train", "runtime:tensorrt"))

    def reasons() -> list[str]:
        row = jobs.row(job_id)
        return list(jobs.do(lambda s: s.waiting_for([row], LEASE_S)[job_id]))

    assert reasons() == ["a worker"]
    with jobs.database.transaction() as session:
        WorkerStore(session).register(worker_row(WORKER))
    assert reasons() == ["a worker with runtime tensorrt"]
    with jobs.database.transaction() as session:
        tokens = frozenset({"kind:train", "runtime:tensorrt"})
        WorkerStore(session).register(worker_row(ClaimingWorker(OTHER.id, "cpu", tokens)))
    assert reasons() == []


def test_jobs_say_that_their_project_runs_as_many_as_it_may(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        WorkerStore(session).register(worker_row(WORKER))
        LimitStore(session).set("own", Limits(running_jobs=0))
    running, first, second = (jobs.add() for _ in range(3))
    own, other = jobs.add(project="own"), jobs.add(project="other")
    assert jobs.claimed().id == running

    def waits(most: int | None) -> Mapping[str, Sequence[str]]:
        rows = [jobs.row(one) for one in (running, first, second, own, other)]
        return jobs.do(lambda s: s.waiting_for(rows, LEASE_S, most))

    none = ["a place among the project's running jobs: 0 used, 0 allowed"]
    full = ["a place among the project's running jobs: 1 used, 1 allowed"]
    assert waits(1) == {first: full, second: full, own: none, other: []}
    assert waits(2) == {first: [], second: [], own: none, other: []} == waits(None)


def test_only_eligible_jobs_that_wait_longer_are_nudged(jobs: Jobs) -> None:
    old = jobs.add()
    jobs.add(references=(old,))
    jobs.watch.pass_(5)
    jobs.add()
    assert jobs.do(lambda s: s.nudgeable(10, 3.0, needs_gpu=False)) == [old]
    assert jobs.do(lambda s: s.oldest_queued_s("p")) == 5.0


def _everything(jobs: Jobs, job_id: str) -> object:
    with jobs.database.read() as session:
        row = session.execute(select(JobRow.__table__).where(JobRow.id == job_id)).one()
        return tuple(row), [event.seq for event in EventStore(session).list(job_id)]


def test_claims_and_rescues_do_not_read_jobs_that_are_over(tmp_path: Path) -> None:
    upgrade(url := f"sqlite:///{tmp_path / 'plans.db'}")
    database = Database(url)
    statements: list[tuple[str, tuple[object, ...]]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(
        _c: object, _cursor: object, text: str, values: tuple[object, ...], *_: object
    ) -> None:
        if "FROM jobs" in text:
            statements.append((text, values))

    with database.transaction() as session:
        store = JobStore(session)
        store.claim(WORKER, LEASE_S)
        store.lapsed(10)
        store.nudgeable(10, 1.0, needs_gpu=True)
        store.nudgeable(10, 1.0, needs_gpu=False)
        store.leased()
    event.remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        plans = [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            for text, values in statements
        ]
    database.close()
    assert len(plans) == 5  # nothing was queued: the claim ended with its first statement
    on_jobs = [
        step for plan in plans for step in plan if "jobs" in step and "CORRELATED" not in step
    ]
    assert on_jobs
    # the claim goes from project to project, and counts what each of them runs
    allowed = (
        *("ix_jobs_claim", "ix_jobs_lease", "ix_jobs_share", "(project=? AND status=?)"),
        "ix_jobs_project_started_at (project=?)",
    )
    assert [step for step in on_jobs if not any(index in step for index in allowed)] == []
