"""What runs while the database, the files or the child itself do not answer: nothing is lost."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.blobs import StorageUnavailable
from service.blobs.local import LocalBlobs
from service.config import Settings
from service.store.artifacts import ArtifactStore
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.values import ClaimedJob, NewJob, Outcome, Paused, Released, Succeeded
from service.tracing import NO_TRACER
from tests.away import Away
from tests.store.samples import LEASE_S, WORKER, checkpoint, worker_row
from tests.worker.starter import Starter, heard
from worker import conversation, runner
from worker.conversation import Conversation, Ended
from worker.drain import Drain
from worker.engine_child import EngineChild
from worker.engine_host import EngineHost
from worker.leases import Heartbeat, Lease
from worker.phases import Phases
from worker.runner import Runner

SPEC = {
    "kind": "train",
    "model": {"architecture": "mlp", "options": {"hidden": [8]}},
    "dataset": "digits",
    "training": {"epochs": 1},
}


class Gone(LocalBlobs):
    """Does not answer to a read."""

    def fetch(self, sha256: str, path: Path) -> None:
        raise StorageUnavailable("no answer")


@pytest.fixture
def away(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    """The test's database, which can be made to refuse; one asks again at once."""
    monkeypatch.setattr(conversation, "_FLUSH_S", 0.01)
    monkeypatch.setattr(runner, "_FINISH_RETRY_S", 0.01)
    away = Away(database.url)
    yield away
    away.close()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs", tmp_path / "staging")


@pytest.fixture
def runs(away: Away, shared_host: EngineHost, tmp_path: Path) -> Callable[[LocalBlobs], Runner]:
    """A worker's runner on that database and a store of files."""

    def make(blobs: LocalBlobs) -> Runner:
        beat = Heartbeat(away, worker_row(WORKER), interval_s=1, lease_s=LEASE_S)
        settings = Settings(data_dir=tmp_path)
        nothing, calm = (lambda job_id, queue: None), Drain(30)
        return Runner(settings, away, blobs, shared_host, beat, WORKER, nothing, calm)

    return make


def claimed(database: Database) -> ClaimedJob:
    with database.transaction() as session:
        JobStore(session).add(NewJob("p", "train", SPEC))
        job = JobStore(session).claim(WORKER, LEASE_S)
    assert job is not None
    return job


def follow(
    job: ClaimedJob, child: EngineChild, folder: Path, database: Database, blobs: LocalBlobs,
    drain: Drain,
) -> Ended:  # fmt: skip
    """What a worker hears of a child until it ends."""
    return Conversation(
        job,
        Lease(job.id, job.run),
        child,
        folder,
        database,
        blobs,
        draining=drain,
        phases=Phases(NO_TRACER, None),
    ).follow()


def test_a_checkpoint_is_written_when_the_database_is_back(
    away: Away, blobs: LocalBlobs, start: Starter, tmp_path: Path
) -> None:
    job, child = claimed(away), start("echo")
    (tmp_path / "c").write_bytes(b"weights")
    child.channel.send({"type": "checkpoint", "path": "c", "step": 5})
    child.channel.send({"type": "stopped"})
    child.channel.send({"exit": 0})
    away.refusals = 3
    ended = follow(job, child, tmp_path, away, blobs, Drain(30))
    assert (ended.said, ended.status.code, away.refusals) == ("stopped", 0, 0)
    with away.transaction() as session:
        JobStore(session).finish(job.id, job.run, Released())
        again = JobStore(session).claim(WORKER, LEASE_S)
    assert again is not None
    assert again.checkpoint is not None
    assert (again.checkpoint.step, again.checkpoint.bytes) == (5, 7)


def test_a_child_that_heeds_nothing_is_killed_after_the_grace(
    away: Away, blobs: LocalBlobs, start: Starter, tmp_path: Path
) -> None:
    job, child, draining = claimed(away), start("heedless"), Drain(0.1)
    assert heard(child) == {"heedless": True}
    child.terminate()
    assert child.wait(0.05) is None
    draining.set()
    ended = follow(job, child, tmp_path, away, blobs, draining)
    assert (ended.stop, ended.said, ended.status.signal) == ("drain", None, signal.SIGKILL)


def test_an_outcome_is_written_when_the_database_is_back(
    away: Away, blobs: LocalBlobs, runs: Callable[[LocalBlobs], Runner]
) -> None:
    class Ends(Runner):
        """Goes away between the child's end and the writing of it."""

        def _outcome(self, *_: object) -> Outcome:
            away.refusals = 3
            return Succeeded({"accuracy": 1.0})

    one = runs(blobs)
    ends = Ends(**{name: getattr(one, name) for name in one.__dataclass_fields__})
    with away.transaction() as session:
        JobStore(session).add(job := NewJob("p", "train", SPEC))
    assert ends.run_one()
    with away.read() as session:
        row = JobStore(session).get(job.id)
        assert (row.status, row.run, away.refusals) == ("succeeded", 1, 0)


def test_a_worker_that_drains_does_not_wait_for_the_database_longer_than_its_grace(
    away: Away, blobs: LocalBlobs, start: Starter, tmp_path: Path
) -> None:
    job, child, drain = claimed(away), start("echo"), Drain(0.2)
    (tmp_path / "c").write_bytes(b"weights")
    child.channel.send({"type": "checkpoint", "path": "c", "step": 5})
    child.channel.send({"exit": 0})
    drain.set()
    away.refusals = 1_000_000
    follow(job, child, tmp_path, away, blobs, drain)
    assert drain.is_over()


def test_an_outcome_that_comes_when_the_grace_is_over_is_tried_once(
    away: Away, blobs: LocalBlobs, runs: Callable[[LocalBlobs], Runner]
) -> None:
    class Ends(Runner):
        """Its worker was told to end long ago, and the database goes away."""

        def _outcome(self, *_: object) -> Outcome:
            self.draining.set()
            away.refusals = 1_000_000
            return Released()

    one = replace(runs(blobs), draining=Drain(0.0))
    ends = Ends(**{name: getattr(one, name) for name in one.__dataclass_fields__})
    with away.transaction() as session:
        JobStore(session).add(NewJob("p", "train", SPEC))
    assert ends.run_one()
    assert away.refusals == 999_999


def test_a_job_whose_files_are_out_of_reach_is_tried_again_while_attempts_are_left(
    away: Away, tmp_path: Path, runs: Callable[[LocalBlobs], Runner]
) -> None:
    with away.transaction() as session:
        jobs = JobStore(session)
        jobs.add(job := NewJob("p", "train", SPEC, max_attempts=2))
        first = jobs.claim(WORKER, LEASE_S)
        assert first is not None
        jobs.add_checkpoint(job.id, first.run, checkpoint(5))
        jobs.finish(job.id, first.run, Released())
    worker = runs(Gone(tmp_path / "blobs", tmp_path / "staging"))
    told = []
    for _ in range(2):
        assert worker.run_one()
        with away.transaction() as session:
            row = JobStore(session).get(job.id)
            told.append((row.status, row.attempt, (row.error or {}).get("code")))
            row.next_run_at = row.created_at  # the pause after a failure is over
    assert told[0][:2] == ("queued", 1)
    assert told[1] == ("failed", 2, "storage_unavailable")


def test_a_disk_that_is_full_before_the_child_starts_is_told_as_such(
    away: Away, blobs: LocalBlobs, runs: Callable[[LocalBlobs], Runner], tmp_path: Path
) -> None:
    with away.transaction() as session:
        JobStore(session).add(job := NewJob("p", "train", SPEC))
    folder = tmp_path / "scratch" / f"{job.id}-1"
    folder.mkdir(parents=True)
    (folder / "order.json").symlink_to("/dev/full")  # every write to it finds no space
    assert runs(blobs).run_one()
    assert ended(away, job) == ("failed", "disk_full")


def test_what_nobody_thought_of_is_an_error_of_the_job_and_not_a_lost_worker(
    away: Away, blobs: LocalBlobs, runs: Callable[[LocalBlobs], Runner]
) -> None:
    with away.transaction() as session:
        JobStore(session).add(job := NewJob("p", "train", {"kind": "train", "from": "the future"}))
    assert runs(blobs).run_one()
    assert ended(away, job) == ("failed", "internal")


def test_a_checkpoint_that_the_child_has_replaced_already_ends_nothing(
    away: Away, blobs: LocalBlobs, start: Starter, tmp_path: Path
) -> None:
    job, child = claimed(away), start("echo")
    (tmp_path / "b").write_bytes(b"weights")
    child.channel.send({"type": "checkpoint", "path": "a", "step": 1})
    child.channel.send({"type": "checkpoint", "path": "b", "step": 2})
    child.channel.send({"exit": 0})
    follow(job, child, tmp_path, away, blobs, Drain(30))
    with away.read() as session:
        assert [kept.step for kept in ArtifactStore(session).checkpoints(job.id)] == [2]


def test_a_cancel_that_comes_after_a_pause_was_obeyed_is_obeyed_too(
    away: Away, blobs: LocalBlobs, runs: Callable[[LocalBlobs], Runner]
) -> None:
    class Pauses(Runner):
        """Is asked to cancel between the child's end and the writing of it."""

        def _outcome(self, job: ClaimedJob, *_: object) -> Outcome:
            with away.transaction() as session:
                JobStore(session).request_pause(job.id, "p")
                JobStore(session).request_cancel(job.id, "p")
            return Paused()

    one = runs(blobs)
    pauses = Pauses(**{name: getattr(one, name) for name in one.__dataclass_fields__})
    with away.transaction() as session:
        JobStore(session).add(job := NewJob("p", "train", SPEC))
    assert pauses.run_one()
    assert ended(away, job) == ("cancelled", None)


def ended(database: Database, job: NewJob) -> tuple[str, str | None]:
    with database.read() as session:
        row = JobStore(session).get(job.id)
        return row.status, (row.error or {}).get("code")
