"""What Prometheus is told, read by its own parser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from service.api.measures import Measures
from service.contract.system import GpuMemory
from service.contract.webhooks import ALL_EVENTS
from service.store.deliveries import Answer, DeliveryStore
from service.store.session import Database
from service.store.tables import EventRow
from service.store.values import Failed, Released, Succeeded
from service.store.webhooks import WebhookStore
from service.store.workers import WorkerStore
from service.webhooks.courier import Courier
from service.webhooks.signing import new_secret
from tests.api.conftest import Service
from tests.api.exposition import LEASE_S, Figures, scrape
from tests.api.test_jobs import TRAIN
from tests.store.conftest import Jobs, Watch
from tests.store.samples import CRASH, GPU, OTHER, WORKER, worker_row


@pytest.fixture
def jobs(open_database: Callable[..., Database]) -> Jobs:
    watch = Watch()
    return Jobs(open_database(watch), watch)


@pytest.fixture
def measures() -> Measures:
    return Measures(lambda: 0)


def test_requests_are_counted_by_route_template(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    service.http.get(f"/v1/jobs/{job}")
    answer = service.http.get("/metrics", headers={"authorization": ""})
    assert job not in answer.text
    figures = Figures(answer.text)
    assert figures("jobs", kind="train", status="queued") == 1
    route = {"method": "GET", "route": "/v1/jobs/{job_id}"}
    assert figures("requests_total", **route, status="200") == 1
    assert figures("request_seconds_count", **route) == 1
    assert (figures("database_up"), figures("broker_up")) == (1, 0)


def test_every_family_comes_once_with_a_help_text_and_a_unit_as_prometheus_wants_it(
    jobs: Jobs, measures: Measures
) -> None:
    families = scrape(measures, jobs.database).families
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    for family in families:
        assert family.documentation.endswith((".", "label.")), family.name
        assert family.name.startswith("modelpress_")
        assert family.type in ("counter", "gauge", "histogram")
        assert not family.name.endswith(("_ms", "_milliseconds", "_count", "_sum"))


def test_jobs_that_end_are_counted_once_with_what_they_took(jobs: Jobs, measures: Measures) -> None:
    jobs.in_state("succeeded")  # before the first scrape: not counted
    before = scrape(measures, jobs.database)
    assert before("job_run_seconds_count", kind="train", status="succeeded") == 0
    first = jobs.add()
    jobs.watch.pass_(3)
    run = jobs.claimed()
    jobs.watch.pass_(40)
    jobs.do(lambda store: store.finish(run.id, run.run, Succeeded({})))
    jobs.add()
    run = jobs.claimed()
    jobs.watch.pass_(2)
    jobs.do(lambda store: store.finish(run.id, run.run, Failed(CRASH)))
    for _ in range(2):  # the second scrape counts nothing twice
        figures = scrape(measures, jobs.database)
        ended = {"kind": "train", "status": "succeeded"}
        assert figures("job_run_seconds_sum", **ended) == 40
        assert figures("job_run_seconds_bucket", **ended, le="15.0") == 0
        assert figures("job_run_seconds_bucket", **ended, le="60.0") == 1
        assert figures("job_run_seconds_sum", kind="train", status="failed") == 2
        assert figures("job_queue_seconds_sum", kind="train") == 3
        assert figures("job_queue_seconds_count", kind="train") == 2
        assert figures("jobs", kind="train", status="succeeded") == 2
    jobs.do(lambda store: store.delete(first, "p"))
    figures = scrape(measures, jobs.database)
    assert figures("jobs", kind="train", status="succeeded") == 1
    assert figures("job_run_seconds_count", kind="train", status="succeeded") == 1


def test_a_lost_lease_is_counted_and_a_drain_is_not(jobs: Jobs, measures: Measures) -> None:
    scrape(measures, jobs.database)
    job = jobs.in_state("running")
    jobs.do(lambda store: store.finish(job.id, job.run, Released()))
    assert scrape(measures, jobs.database)("leases_lost_total") == 0
    job = jobs.claimed()
    jobs.watch.pass_(LEASE_S + 1)
    assert jobs.do(lambda store: store.rescue(job.id, job.run)) is not None
    assert scrape(measures, jobs.database)("leases_lost_total") == 1


def test_more_events_than_one_read_takes_are_all_counted(jobs: Jobs, measures: Measures) -> None:
    scrape(measures, jobs.database)
    job_id = jobs.add()
    lost = {"status": "queued", "reason": "worker_lost"}
    same: dict[str, object] = {"job_id": job_id, "project": "p", "type": "state"}
    same |= {"data": lost, "created_at": jobs.watch()}
    with jobs.database.transaction() as session:
        session.execute(insert(EventRow), [same | {"seq": seq} for seq in range(2, 2507)])
    assert scrape(measures, jobs.database)("leases_lost_total") == 2505


def test_the_queue_is_told_by_what_its_jobs_need(jobs: Jobs, measures: Measures) -> None:
    empty = scrape(measures, jobs.database)
    assert empty("queue_oldest_seconds", device="any") == 0
    assert empty("queue_eligible_jobs", device="cuda") == 0
    first = jobs.add(device="cuda")
    jobs.watch.pass_(30)
    jobs.add()
    jobs.add(device="cpu")
    jobs.add(references=(first,))  # waits for a job, not for a worker
    jobs.watch.pass_(12)
    figures = scrape(measures, jobs.database)
    assert figures("queue_eligible_jobs", device="cuda") == 1
    assert figures("queue_oldest_seconds", device="cuda") == 42
    assert figures("queue_eligible_jobs", device="any") == 2
    assert figures("queue_oldest_seconds", device="any") == 12
    assert figures("jobs", kind="train", status="queued") == 4


def test_workers_are_told_by_device_and_those_not_heard_of_are_left_out(
    jobs: Jobs, measures: Measures
) -> None:
    with jobs.database.transaction() as session:
        WorkerStore(session).register(worker_row(OTHER))
    jobs.watch.pass_(LEASE_S + 1)
    with jobs.database.transaction() as session:
        for worker in (WORKER, GPU):
            WorkerStore(session).register(worker_row(worker))
        WorkerStore(session).set_draining(GPU.id)
    figures = scrape(measures, jobs.database)
    assert figures("workers", device="cpu") == 1
    assert figures("workers", device="cuda") == 1
    assert figures("workers_draining", device="cuda") == 1
    assert figures("worker_slots", device="cpu") == worker_row(WORKER).slots
    assert figures("worker_slots", device="cuda") == 0


def test_the_memory_of_gpus_is_what_the_last_heartbeat_said(jobs: Jobs, measures: Measures) -> None:
    memory = GpuMemory(gpu=3, used_bytes=7, total_bytes=80)
    with jobs.database.transaction() as session:
        store = WorkerStore(session)
        store.register(worker_row(GPU))
        assert store.heartbeat(GPU.id, [memory.model_copy(update={"used_bytes": 9}), memory])
        assert store.heartbeat(GPU.id, [memory])
        assert store.heartbeat(GPU.id)  # nothing new
    figures = scrape(measures, jobs.database)
    gpu = {"worker": worker_row(GPU).hostname, "gpu": "3"}
    assert figures("gpu_memory_used_bytes", **gpu) == 7
    assert figures("gpu_memory_bytes", **gpu) == 80


class Answers:
    """Answers each message with the next of these."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def send(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        return self._answers.pop(0)


def test_tries_of_messages_are_counted_by_what_came_of_them(jobs: Jobs, measures: Measures) -> None:
    answers = Answers(Answer(500, "answered 500"), Answer(204, None))
    courier = Courier(jobs.database, answers, "1", measures.tried)
    with jobs.database.transaction() as session:
        hook = WebhookStore(session).add(
            "p", name="", url="https://h.example/", events=ALL_EVENTS, secret=new_secret()
        )
    jobs.in_state("succeeded")
    jobs.watch.pass_(5)
    before = scrape(measures, jobs.database)
    assert before("webhook_messages_pending") == 1
    assert before("webhook_oldest_pending_seconds") == 5
    assert courier.deliver_one()
    jobs.watch.pass_(10)
    assert courier.deliver_one()
    after = scrape(measures, jobs.database)
    tries = {name: after("webhook_tries_total", result=name) for name in ("retrying", "delivered")}
    assert tries == {"retrying": 1, "delivered": 1}
    assert after("webhook_messages_pending") == 0
    with jobs.database.read() as session:
        assert DeliveryStore(session).list(hook.id, 1)[0].status == "succeeded"


def test_without_a_database_the_process_still_tells_of_itself(
    measures: Measures, tmp_path: Path
) -> None:
    measures.observe("GET", "/v1/jobs", 503, 0.01)
    away = Database(f"sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}")
    figures = scrape(measures, away)
    assert figures("database_up") == 0
    assert figures("requests_total", method="GET", route="/v1/jobs", status="503") == 1
    assert "modelpress_jobs" not in figures.names
