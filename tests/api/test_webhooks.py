"""/v1/webhooks."""

from collections.abc import Mapping

from standardwebhooks import Webhook

from service.addresses import parse_networks
from service.contract.webhooks import WebhookMessage
from service.contract.wire import JobRead
from service.store.deliveries import Answer
from service.store.jobs import JobStore
from service.store.values import JobProgress, Succeeded
from service.webhooks.courier import Courier
from service.webhooks.sending import Sender
from tests.api.conftest import Service
from tests.webhooks.receiver import Receiver, receiving

TRAIN = {
    "kind": "train",
    "model": {"architecture": "mlp"},
    "dataset": "digits",
    "name": "größer",
    "labels": {"team": "vision"},
}
HOOK = {"url": "https://hooks.example.com/modelpress"}


def deliver(service: Service, receiver: Receiver) -> None:
    """Send all that is due, to the receiver in the place of everybody else."""
    networks = parse_networks("127.0.0.0/8")

    class ToReceiver(Sender):
        def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            return super().send(f"http://127.0.0.1:{receiver.port}/", headers, body)

    courier = Courier(service.database, ToReceiver(networks), "1")
    while courier.deliver_one():
        pass


def test_a_secret_is_shown_once(service: Service) -> None:
    made = service.http.post("/v1/webhooks", json={**HOOK, "name": "ci"})
    assert made.status_code == 201
    path = made.headers["location"]
    assert path == f"/v1/webhooks/{made.json()['id']}"
    secret = made.json().pop("secret")
    assert secret.startswith("whsec_")
    shown = service.http.get(path)
    assert shown.json() == {k: v for k, v in made.json().items() if k != "secret"}
    assert shown.json()["events"] == ["job.succeeded", "job.failed", "job.cancelled"]
    listed = service.http.get("/v1/webhooks")
    assert listed.json()["data"] == [shown.json()]
    assert secret not in shown.text + listed.text


def test_a_message_has_the_job_as_it_is_shown_but_its_result(service: Service) -> None:
    made = service.http.post("/v1/webhooks", json=HOOK).json()
    job_id = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    claimed = service.claim()
    with service.database.transaction() as session:
        jobs = JobStore(session)
        jobs.record(job_id, claimed.run, progress=JobProgress(3, 7, "training"))
        jobs.finish(job_id, claimed.run, Succeeded({}, metrics={"test_accuracy": 0.5}))
    with receiving() as receiver:
        deliver(service, receiver)
        (received,) = receiver.received
    told = Webhook(made["secret"]).verify(received.body, received.headers)
    message = WebhookMessage.model_validate(told)
    shown = JobRead.model_validate(service.http.get(f"/v1/jobs/{job_id}").json())
    assert message.type == "job.succeeded"
    assert message.data == shown.model_copy(update={"result": None})
    assert message.timestamp == shown.finished_at
    listed = service.http.get(f"/v1/webhooks/{made['id']}/deliveries").json()["data"]
    assert [(one["job"], one["status"], one["tries"]) for one in listed] == [
        (job_id, "succeeded", 1)
    ]
    assert listed[0]["id"] == received.headers["webhook-id"]


def test_a_test_message_waits_for_its_turn_and_is_listed(service: Service) -> None:
    hook = service.http.post("/v1/webhooks", json=HOOK).json()["id"]
    sent = service.http.post(f"/v1/webhooks/{hook}/test", headers={"prefer": "wait=0"})
    assert (sent.status_code, sent.json()["status"]) == (202, "pending")
    with receiving() as receiver:
        receiver.status = 500
        deliver(service, receiver)
    (listed,) = service.http.get(f"/v1/webhooks/{hook}/deliveries").json()["data"]
    assert listed["id"] == sent.json()["id"]
    assert (listed["status"], listed["response_status"]) == ("failed", 500)
    again = service.http.post(f"/v1/webhooks/{hook}/deliveries/{listed['id']}/redeliver")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    pending = service.http.get(f"/v1/webhooks/{hook}/deliveries", params={"status": "pending"})
    assert [one["id"] for one in pending.json()["data"]] == [listed["id"]]


def test_an_answer_of_410_disables_a_webhook_until_it_is_enabled(service: Service) -> None:
    hook = service.http.post("/v1/webhooks", json=HOOK).json()["id"]
    path = f"/v1/webhooks/{hook}"
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    service.http.post(f"/v1/jobs/{job}/cancel")
    with receiving() as receiver:
        receiver.status = 410
        deliver(service, receiver)
    assert service.http.get(path).json()["status"] == "disabled"
    (listed,) = service.http.get(f"{path}/deliveries").json()["data"]
    refused = service.http.post(f"{path}/deliveries/{listed['id']}/redeliver")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    assert service.http.post(f"{path}/enable").json()["status"] == "active"


def test_rotating_gives_a_new_secret_and_keeps_the_old_one_for_a_while(service: Service) -> None:
    made = service.http.post("/v1/webhooks", json=HOOK).json()
    path = f"/v1/webhooks/{made['id']}"
    rotated = service.http.post(f"{path}/rotate").json()
    assert rotated["secret"] != made["secret"]
    service.http.post(f"{path}/test")
    with receiving() as receiver:
        deliver(service, receiver)
        (received,) = receiver.received
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(received.body, received.headers)
    at_once = service.http.post(f"{path}/rotate", params={"overlap_s": 0}).json()
    assert at_once["old_secret_until"] is None


def test_a_url_that_leads_inside_is_a_422_that_points_at_it(service: Service) -> None:
    for url in ("http://hooks.example.com/", "https://127.0.0.1/", "https://[::1]/", "ftp://x/"):
        answer = service.http.post("/v1/webhooks", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_not_allowed")
        assert answer.json()["errors"][0]["pointer"] == "#/url"


def test_another_projects_webhook_is_not_there(service: Service) -> None:
    hook = service.http.post("/v1/webhooks", json=HOOK).json()["id"]
    sent = service.http.post(f"/v1/webhooks/{hook}/test").json()["id"]
    stranger = service.key_for("other")
    missing = "whk_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
    calls = [
        ("GET", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate"), ("POST", "/enable"),
        ("GET", "/deliveries"), ("POST", f"/deliveries/{sent}/redeliver"),
    ]  # fmt: skip
    for method, rest in calls:
        answers = [
            service.http.request(method, f"/v1/webhooks/{one}{rest}", headers=stranger)
            for one in (hook, missing)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        details = [answer.json()["detail"] for answer in answers]
        assert details[0].replace(hook, missing) == details[1]
    assert service.http.get("/v1/webhooks", headers=stranger).json()["data"] == []


def test_a_key_that_may_only_look_makes_no_webhook(service: Service) -> None:
    reader = service.key_for("default", "read")
    assert service.http.post("/v1/webhooks", json=HOOK, headers=reader).status_code == 403
    assert service.http.get("/v1/webhooks", headers=reader).status_code == 200


def test_a_deleted_webhook_is_gone(service: Service) -> None:
    hook = service.http.post("/v1/webhooks", json=HOOK).json()["id"]
    assert service.http.delete(f"/v1/webhooks/{hook}").status_code == 204
    assert service.http.get(f"/v1/webhooks/{hook}").status_code == 404
    assert service.http.delete(f"/v1/webhooks/{hook}").status_code == 404
