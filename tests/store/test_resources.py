"""Models, datasets, files, uploads, keys, workers, idempotency."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.exc import InvalidRequestError

from service.contract.ids import new_id
from service.contract.job_errors import JobError
from service.store.blob_uses import blobs_in_use
from service.store.checked import MAX_CHECKS
from service.store.datasets import DatasetStore
from service.store.errors import NotFound
from service.store.files import FileStore
from service.store.idempotency import IdempotencyStore
from service.store.keys import KeyStore, OpenKey
from service.store.models import ModelStore
from service.store.session import Database
from service.store.uploads import UploadStore
from service.store.values import AcceptedDataset, NewDataset, NewKey
from service.store.workers import WorkerStore
from tests.store.conftest import Jobs
from tests.store.samples import (
    ACCEPTED,
    LEASE_S,
    MODEL_FILES,
    OTHER,
    SHA,
    WORKER,
    model,
    worker_row,
)

BROKEN = JobError.of("invalid_model", "not safetensors")
FLOWERS = AcceptedDataset(
    classes=2,
    input_size=(3, 8, 8),
    labels=("rose", "tulip"),
    splits={"train": 8, "validation": 1, "test": 1},
    class_counts={"train": (4, 4)},
    normalisation={"mean": [0.5], "std": [0.2]},
    findings={"undecodable": 1},
    contact_sheet_sha256=SHA["f"],
    digest=SHA["d"],
    sha256=SHA["e"],
    bytes=100,
)


def test_a_check_is_one_workers_until_its_lease_ends(jobs: Jobs) -> None:
    upload = model(source_sha256=SHA["c"])
    with jobs.database.transaction() as session:
        models = ModelStore(session)
        models.add("p", upload)
        assert models.unchecked()
        first = models.claim_check(WORKER.id, LEASE_S)
        assert first is not None
        first_run = first.check_run
        assert models.claim_check(OTHER.id, LEASE_S) is None
        jobs.watch.pass_(LEASE_S + 1)
        second = models.claim_check(OTHER.id, LEASE_S)
        assert second is not None
        assert models.accept(upload.id, first_run, ACCEPTED) is None
        assert not models.reject(upload.id, first_run, BROKEN)
        assert models.accept(upload.id, second.check_run, ACCEPTED) == ()
        row = models.get(upload.id)
        assert (row.status, row.parameters, row.source_sha256) == ("ready", 100, None)
        assert models.files(upload.id) == MODEL_FILES
        assert blobs_in_use(session, list(SHA.values())) == {SHA["a"]}


def test_a_project_with_many_uploads_keeps_no_other_waiting(jobs: Jobs) -> None:
    # Ids of one millisecond come in any order.
    uploads = (model(source_sha256=SHA["c"]) for _ in range(4))
    *many, later = sorted(uploads, key=lambda one: one.id)
    with jobs.database.transaction() as session:
        models = ModelStore(session)
        for upload in many:
            models.add("p", upload)
        models.add("q", later)
        claimed = [models.claim_check(WORKER.id, LEASE_S) for _ in range(3)]
    assert [row and row.id for row in claimed] == [many[0].id, later.id, many[1].id]


def test_a_slot_for_small_files_leaves_large_and_unknown_ones(jobs: Jobs) -> None:
    large, small = model(source_sha256=SHA["c"]), model(source_sha256=SHA["d"])
    with jobs.database.transaction() as session:
        FileStore(session).put("p", "large", SHA["c"], 1_000)
        FileStore(session).put("p", "small", SHA["d"], 999)
        models = ModelStore(session)
        for upload in (large, small, model(source_sha256=SHA["e"])):
            models.add("p", upload)
        first = models.claim_check(WORKER.id, LEASE_S, 999)
        assert first is not None
        assert first.id == small.id
        assert models.claim_check(WORKER.id, LEASE_S, 999) is None
        assert models.unchecked() == large.id


def test_lists_leave_the_names_of_classes_unread(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        ModelStore(session).add("p", model(labels=("a", "b")))
    with jobs.database.read() as session:
        (row,) = ModelStore(session).list("p", 10)
        with pytest.raises(InvalidRequestError, match="labels"):
            _ = row.labels


def test_an_upload_that_ends_its_checkers_is_rejected(jobs: Jobs) -> None:
    upload = model(source_sha256=SHA["c"])
    with jobs.database.transaction() as session:
        models = ModelStore(session)
        models.add("p", upload)
        for _ in range(MAX_CHECKS):
            assert models.claim_check(WORKER.id, LEASE_S) is not None
            jobs.watch.pass_(LEASE_S + 1)
        assert models.claim_check(WORKER.id, LEASE_S) is None
        row = models.get(upload.id)
        assert row.error is not None
        assert (row.status, row.error["code"]) == ("rejected", "invalid_model")


def test_a_dataset_is_ready_with_what_its_check_found(database: Database) -> None:
    upload = NewDataset("flowers", "image_zip", SHA["c"], image_size=8)
    with database.transaction() as session:
        datasets = DatasetStore(session)
        datasets.add("p", upload)
        assert blobs_in_use(session, list(SHA.values())) == {SHA["c"]}
        checked = datasets.claim_check(WORKER.id, LEASE_S)
        assert checked is not None
        assert datasets.accept(upload.id, checked.check_run, FLOWERS) == ()
    with database.read() as session:
        row = DatasetStore(session).get(upload.id, "p")
        assert (row.labels, row.input_size) == (["rose", "tulip"], [3, 8, 8])
        assert row.class_counts == {"train": [4, 4]}
        assert blobs_in_use(session, list(SHA.values())) == {SHA["e"], SHA["f"]}
        with pytest.raises(NotFound):
            DatasetStore(session).get(upload.id, "other")


def test_lineage_goes_up_to_the_first_and_down_one_step(database: Database) -> None:
    first = model(name="first")
    second = model(name="second", parent_id=first.id)
    third = model(name="third", parent_id=second.id)
    with database.transaction() as session:
        models = ModelStore(session)
        for each in (first, second, third):
            models.add("p", each)
        assert [row.name for row in models.ancestors(models.get(third.id))] == ["second", "first"]
        assert [row.name for row in models.children(first.id)] == ["second"]
        assert [row.id for row in models.list("p", 2)] == sorted(
            (first.id, second.id, third.id), reverse=True
        )[:2]
    with database.transaction() as session:
        ModelStore(session).delete(second.id, "p")
    with database.read() as session:
        assert ModelStore(session).get(third.id).parent_id is None


def test_a_file_put_again_replaces_the_old_one(database: Database) -> None:
    with database.transaction() as session:
        files = FileStore(session)
        files.put("p", "b", SHA["a"], 1)
        assert files.put("p", "b", SHA["b"], 2).bytes == 2
        files.put("p", "a", SHA["c"], 3)
        files.put("other", "b", SHA["d"], 4)
        assert [row.name for row in files.list("p", 10)] == ["a", "b"]
        assert [row.name for row in files.list("p", 10, after="a")] == ["b"]
        assert blobs_in_use(session, list(SHA.values())) == {SHA["b"], SHA["c"], SHA["d"]}
        files.delete("p", "b")
        with pytest.raises(NotFound):
            files.get("p", "b")
        assert files.get("other", "b").bytes == 4


def test_an_upload_moves_on_only_from_where_it_stands(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        uploads = UploadStore(session)
        upload = uploads.create("p", "big", 100, None)
        assert uploads.advance(upload.id, 0, 60)
        assert not uploads.advance(upload.id, 0, 60)
        assert uploads.get(upload.id, "p").offset == 60
        assert uploads.expired(jobs.watch()) == []
        jobs.watch.pass_(1)
        assert [row.id for row in uploads.expired(jobs.watch())] == [upload.id]
        uploads.delete(upload.id)
        with pytest.raises(NotFound):
            uploads.get(upload.id, "p")


def test_a_key_opens_until_it_is_revoked_or_expires(jobs: Jobs) -> None:
    ends = jobs.watch() + timedelta(hours=1)
    lasting = NewKey("p", "a", ("read",), SHA["a"], "mp_aaaa")
    ending = NewKey("p", "b", ("read",), SHA["b"], "mp_bbbb", expires_at=ends)
    with jobs.database.transaction() as session:
        keys = KeyStore(session)
        keys.create(lasting)
        keys.create(ending)
        found = keys.find(SHA["b"])
        assert found is not None
        assert (found.id, found.scopes) == (ending.id, ["read"])
        assert keys.opened_by(SHA["b"]) == OpenKey(ending.id, "p", frozenset({"read"}))
        assert (keys.find(SHA["c"]), keys.opened_by(SHA["c"])) == (None, None)
        jobs.watch.pass_(3600)
        assert (keys.find(SHA["b"]), keys.opened_by(SHA["b"])) == (None, None)
        assert keys.find(SHA["a"]) is not None
        keys.revoke(lasting.id)
        assert (keys.find(SHA["a"]), keys.opened_by(SHA["a"])) == (None, None)
        assert keys.known(SHA["a"])
        assert [row.id for row in keys.list(10)] == [ending.id]
        with pytest.raises(NotFound):
            keys.revoke(lasting.id)


def test_the_last_use_of_a_key_is_kept_to_the_minute(jobs: Jobs) -> None:
    key = NewKey("p", "a", ("read",), SHA["a"], "mp_aaaa")
    start = jobs.watch()
    seen = []
    with jobs.database.transaction() as session:
        KeyStore(session).create(key)
    for seconds in (0, 30, 31):
        jobs.watch.pass_(seconds)
        with jobs.database.transaction() as session:
            KeyStore(session).touch(key.id)
        with jobs.database.read() as session:
            row = KeyStore(session).find(SHA["a"])
            assert row is not None
            seen.append(row.last_used_at)
    assert seen == [start, start, start + timedelta(seconds=61)]


def test_workers_are_alive_while_they_are_heard_of(jobs: Jobs) -> None:
    with jobs.database.transaction() as session:
        workers = WorkerStore(session)
        workers.register(worker_row(WORKER))
        workers.register(worker_row(OTHER))
        jobs.watch.pass_(8)
        assert workers.heartbeat(WORKER.id)
        assert not workers.heartbeat("wrk_" + "9" * 26)
        jobs.watch.pass_(8)
        assert [row.id for row in workers.alive(10)] == [WORKER.id]
        workers.set_draining(OTHER.id)
    with jobs.database.transaction() as session:
        workers = WorkerStore(session)
        assert [row.draining for row in workers.list()] == [False, True]
        workers.purge(jobs.watch() - timedelta(seconds=10))
        assert [row.id for row in workers.list()] == [WORKER.id]
        workers.remove(WORKER.id)
        assert workers.list() == []


def test_one_of_many_requests_with_one_key_makes_the_job(database: Database) -> None:
    def request(_: int) -> bool:
        with database.transaction() as session:
            return IdempotencyStore(session).put(
                "p", "k", fingerprint=SHA["a"], job_id=new_id("job"), status=202, body={}
            )

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(request, range(16))) == 1


def test_an_answer_is_kept_for_a_day(jobs: Jobs) -> None:
    def put(job_id: str) -> bool:
        with jobs.database.transaction() as session:
            return IdempotencyStore(session).put(
                "p", "k", fingerprint=SHA["a"], job_id=job_id, status=202, body={"id": job_id}
            )

    def body() -> object:
        with jobs.database.read() as session:
            row = IdempotencyStore(session).get("p", "k")
            return None if row is None else row.body

    assert put("job_1")
    jobs.watch.pass_(24 * 3600 - 1)
    assert not put("job_2")
    assert body() == {"id": "job_1"}
    jobs.watch.pass_(1)
    assert body() is None
    assert put("job_3")
    assert body() == {"id": "job_3"}


@pytest.mark.parametrize("counts", [False, True])
def test_a_check_that_found_nothing_out_waits_and_counts_only_if_it_is_the_files_fault(
    jobs: Jobs, counts: bool
) -> None:
    upload = model(source_sha256=SHA["c"])
    with jobs.database.transaction() as session:
        models = ModelStore(session)
        models.add("p", upload)
        for _ in range(MAX_CHECKS + 1):
            claimed = models.claim_check(WORKER.id, LEASE_S)
            if claimed is None:
                break
            models.release_check(upload.id, claimed.check_run, 5.0, counts=counts)
            assert not models.unchecked()
            jobs.watch.pass_(6)
        assert models.get(upload.id).status == ("rejected" if counts else "checking")


def test_a_check_that_was_taken_over_releases_nothing(jobs: Jobs) -> None:
    upload = model(source_sha256=SHA["c"])
    with jobs.database.transaction() as session:
        models = ModelStore(session)
        models.add("p", upload)
        first = models.claim_check(WORKER.id, LEASE_S)
        assert first is not None
        run = first.check_run
        jobs.watch.pass_(LEASE_S + 1)
        assert models.claim_check(OTHER.id, LEASE_S) is not None
        models.release_check(upload.id, run, 0.0, counts=False)
        assert models.claim_check(WORKER.id, LEASE_S) is None
