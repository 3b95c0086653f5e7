"""The SDK against the real API over a real socket; only workers are missing."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from safetensors import SafetensorError, safe_open

from service.auth import secret_sha256
from service.cli.main import main
from service.client import (
    Client,
    Conflict,
    Invalid,
    JobCancelled,
    NotFound,
    RateLimited,
    Unauthorized,
)
from service.client.upload import Files
from service.config import Settings
from service.contract.train import TrainSpec
from service.store.audit import AuditFilter, AuditStore
from service.store.keys import KeyStore
from service.store.session import Database
from tests.client.running import running_api
from tests.client.service_double import JOB


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        running_api(tmp_path_factory.mktemp("data")) as service,
        Client(service.url, service.key) as client,
    ):
        yield client


def weights(path: Path, size: int = 64) -> Path:
    """A safetensors file of one tensor, by the layout of its specification."""
    header = f'{{"w":{{"dtype":"U8","shape":[{size}],"data_offsets":[0,{size}]}}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    return path


def test_a_chain_is_submitted_at_once_and_found_again(client: Client) -> None:
    teacher = client.train("cnn_teacher", "digits", training={"epochs": 2}, name="teacher")
    student = client.distill(teacher, "cnn_student", "digits", labels={"team": "vision"})
    both = client.benchmark([teacher, student], "digits", batch_sizes=[1])
    assert student.status == both.status == "queued"
    assert client.jobs.get(student.id).data.waiting_for
    assert [job.id for job in client.jobs.list(label=("team", "vision"))] == [student.id]
    every = list(client.jobs.list(page_size=1))
    assert [job.id for job in every[:3]] == [both.id, student.id, teacher.id]


def test_a_spec_is_validated_without_being_queued(client: Client) -> None:
    before = sum(1 for _ in client.jobs.list())
    spec = client.validate({"kind": "train", "model": {"architecture": "mlp"}, "dataset": "digits"})
    assert isinstance(spec, TrainSpec)
    assert spec.training.epochs == 30
    assert sum(1 for _ in client.jobs.list()) == before


def test_a_wrong_field_is_pointed_at(client: Client) -> None:
    with pytest.raises(Invalid) as caught:
        client.distill(JOB, "cnn_student", "digits", loss={"name": "kd", "alpha": 2})
    assert [item.pointer for item in caught.value.errors] == ["#/loss/alpha"]


def test_one_idempotency_key_makes_one_job(client: Client) -> None:
    spec = {"kind": "train", "model": {"architecture": "mlp"}, "dataset": "digits"}
    first = client.submit(spec, idempotency_key="once")
    assert client.submit(spec, idempotency_key="once").id == first.id


def test_cancelling_ends_a_stream_that_is_listening(client: Client) -> None:
    job = client.train("mlp", "digits")
    heard: list[str] = []

    def hear(event: object) -> None:
        heard.append(type(event).__name__)
        if len(heard) == 1:
            client.jobs.get(job.id).cancel()

    with pytest.raises(JobCancelled):
        job.wait(timeout=20.0, on_event=hear)
    assert job.status == "cancelled"
    assert [event.data["status"] for event in job.events()] == ["queued", "cancelled"]
    assert list(job.events(after=2)) == []


def test_a_job_that_waits_times_out_for_who_waits(client: Client) -> None:
    job = client.train("mlp", "digits")
    with pytest.raises(TimeoutError):
        job.wait(timeout=0.3)


def test_pause_resume_retry_and_delete_move_a_job(client: Client) -> None:
    job = client.train("mlp", "digits")
    assert job.pause().status == "paused"
    assert job.resume().status == "queued"
    with pytest.raises(Conflict):
        job.delete()
    job.cancel()
    again = job.retry("start")
    assert again.data.retry_of == job.id
    assert (job.metrics(), job.logs(), job.artifacts(), job.checkpoints()) == ((), "", [], [])
    job.delete()
    with pytest.raises(NotFound):
        job.refresh()


def test_a_registered_model_is_being_checked_until_a_worker_looks(
    client: Client, tmp_path: Path
) -> None:
    model = client.models.register(
        weights(tmp_path / "mine.safetensors"),
        architecture="mlp",
        classes=10,
        input_size=(1, 8, 8),
        timeout=0.0,
    )
    assert (model.data.status, model.data.name) == ("checking", "mine")
    assert [one.id for one in client.models.list()] == [model.id]
    assert model.lineage().ancestors == ()


def test_a_file_that_is_no_safetensors_is_refused_at_once(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(SafetensorError), safe_open(path, "np"):
        pass
    with pytest.raises(Exception, match="safetensors"):
        client.models.register(
            path, architecture="mlp", classes=10, input_size=(1, 8, 8), timeout=0.0
        )


def test_a_name_is_written_once(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(b"one")
    first = client.files.put(path)
    assert client.files.put(path) == first
    path.write_bytes(b"two")
    with pytest.raises(Conflict):
        client.files.put(path)
    client.files.delete("data.npz")
    client.files.put(path)


def test_a_file_in_parts_arrives_whole(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(range(256)) * 1000)
    parted = Files(client.files._http, resumable_from_bytes=1, part_bytes=100_000)
    seen: list[tuple[int, int | None]] = []
    file = parted.put(path, on_bytes=lambda done, total: seen.append((done, total)))
    assert file.bytes == 256_000
    assert seen == [(100_000, 256_000), (200_000, 256_000), (256_000, 256_000)]


def test_keys_are_made_and_revoked(client: Client) -> None:
    made = client.keys.create(name="other", project="other")
    with Client(client.url, made.key) as other:
        assert list(other.jobs.list()) == []
        client.keys.revoke(made.id)
        with pytest.raises(Unauthorized):
            other.queue()
    assert made.id not in [key.id for key in client.keys.list()]


def test_limits_are_set_and_a_full_queue_is_refused_at_once(client: Client) -> None:
    project = client.usage().project
    assert client.limits.set(project, queued_jobs=0).effective.queued_jobs == 0
    try:
        assert client.limits.get(project).own.queued_jobs == 0
        with pytest.raises(RateLimited, match="0 allowed"):
            client.submit({"kind": "train", "model": {"architecture": "mlp"}, "dataset": "digits"})
    finally:
        client.limits.set(project)


def test_the_service_tells_how_it_is(client: Client) -> None:
    assert client.is_ready()
    assert client.health().database == "up"
    assert client.capabilities().workers == 0
    assert client.workers() == []
    assert client.queue().slots == 0


def test_a_webhook_is_made_tested_rotated_and_forgotten(client: Client) -> None:
    made = client.webhooks.create("https://hooks.example.com/", events=["job.failed"], name="ci")
    assert client.webhooks.get(made.id).events == ("job.failed",)
    assert [hook.id for hook in client.webhooks.list()] == [made.id]
    assert client.webhooks.rotate(made.id, overlap_s=60).secret != made.secret
    sent = client.webhooks.test(made.id, wait=0)
    assert sent.status == "pending"
    assert [one.id for one in client.webhooks.deliveries(made.id, status="pending")] == [sent.id]
    assert client.webhooks.redeliver(made.id, sent.id).id == sent.id
    assert client.webhooks.enable(made.id).status == "active"
    client.webhooks.delete(made.id)
    with pytest.raises(NotFound):
        client.webhooks.get(made.id)
    with pytest.raises(Invalid):
        client.webhooks.create("https://127.0.0.1/")


def test_a_key_is_rotated_and_the_log_tells_of_it(client: Client) -> None:
    old = client.keys.create(name="old", project="p")
    new = client.keys.rotate(old.id, grace_s=60)
    assert (new.name, new.project) == ("old", "p")
    assert next(key for key in client.keys.list() if key.id == old.id).rotated_to == new.id
    [entry] = client.audit.list(action="rotate_key", target=old.id)
    assert (entry.outcome, entry.address) == ("done", "127.0.0.1")


def test_a_key_made_on_the_machine_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPRESS_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["keys", "create"])
    made = capsys.readouterr().out.strip()
    with closing(Database(Settings().database)) as database, database.read() as session:
        [entry] = AuditStore(session).list(AuditFilter(), 10)
        row = KeyStore(session).find(secret_sha256(made))
    assert row is not None
    assert (entry.action, entry.target, entry.key_id) == ("create_key", row.id, None)
