"""What is refused because there was too much of it: jobs, bytes, requests, parts of requests."""

from typing import Final

import pytest
from fastapi.testclient import TestClient

from service.api.rates import Policy, Rates, neighbourhood
from service.auth import generate_key
from service.config import Settings
from service.errors import TooMany
from tests.api.conftest import Service
from tests.api.test_files import put, safetensors

SPEC: Final = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}


def limit(service: Service, **limits: int) -> None:
    answer = service.http.put("/v1/projects/default/limits", json=limits)
    assert answer.status_code == 200
    assert answer.json()["own"] == {
        "queued_jobs": None, "running_jobs": None, "stored_bytes": None
    } | limits  # fmt: skip


def test_a_project_queues_as_many_jobs_as_it_may(service: Service) -> None:
    limit(service, queued_jobs=1)
    again = {"idempotency-key": "once"}
    assert service.http.post("/v1/jobs", json=SPEC, headers=again).status_code == 202
    refused = service.http.post("/v1/jobs", json=SPEC)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "1 used, 1 allowed" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0
    assert service.http.post("/v1/jobs", json=SPEC, headers=again).status_code == 202
    other = service.key_for("other")
    assert service.http.post("/v1/jobs", json=SPEC, headers=other).status_code == 202
    service.claim()
    assert service.http.post("/v1/jobs", json=SPEC).status_code == 202


def test_a_paused_job_still_counts_and_a_retry_is_a_job_too(service: Service) -> None:
    limit(service, queued_jobs=1)
    job = service.http.post("/v1/jobs", json=SPEC).json()["id"]
    service.http.post(f"/v1/jobs/{job}/pause")
    assert service.http.post("/v1/jobs", json=SPEC).status_code == 429
    assert service.http.post(f"/v1/jobs/{job}/resume").status_code == 202
    service.http.post(f"/v1/jobs/{job}/cancel")
    assert service.http.post("/v1/jobs", json=SPEC).status_code == 202
    assert service.http.post(f"/v1/jobs/{job}/retry").status_code == 429


def test_a_project_stores_as_many_bytes_as_it_may(service: Service) -> None:
    limit(service, stored_bytes=1000)
    put = service.http.put
    assert put("/v1/files/a", content=b"a" * 600).status_code == 201
    assert put("/v1/files/same", content=b"a" * 600).status_code == 507, "not known before it came"
    refused = put("/v1/files/b", content=b"b" * 401)
    assert (refused.status_code, refused.json()["code"]) == (507, "quota_exceeded")
    assert "600 used, 1000 allowed, 401 asked for" in refused.json()["detail"]
    assert put("/v1/files/a", content=b"a" * 600).status_code == 200, "the same again is no more"
    upload = {"name": "c", "bytes": 400}
    assert service.http.post("/v1/uploads", json=upload).status_code == 201
    assert service.http.post("/v1/uploads", json=upload | {"name": "d"}).status_code == 507
    assert service.http.post("/v1/jobs", json=SPEC).json()["code"] == "quota_exceeded"
    assert service.http.delete("/v1/files/a").status_code == 204
    assert service.http.post("/v1/jobs", json=SPEC).status_code == 202


def test_a_project_that_is_full_registers_nothing(service: Service) -> None:
    put(service.http, "w.safetensors", safetensors())
    limit(service, stored_bytes=1)
    model = {"file": "w.safetensors", "architecture": "cnn_student"}
    dataset = {"source": "photos", "path": "a.npz", "format": "npz"}
    for path, asked in (("/v1/models", model), ("/v1/datasets", dataset)):
        refused = service.http.post(path, json=asked)
        assert (refused.status_code, refused.json()["code"]) == (507, "quota_exceeded")


def test_usage_tells_what_there_is_beside_what_there_may_be(service: Service) -> None:
    limit(service, running_jobs=2)
    service.http.post("/v1/jobs", json=SPEC)
    service.claim()
    service.http.post("/v1/jobs", json=SPEC)
    service.http.put("/v1/files/a", content=b"12345")
    usage = service.http.get("/v1/usage").json()
    assert usage == {
        "object": "usage",
        "project": "default",
        "queued_jobs": {"used": 1, "allowed": None},
        "running_jobs": {"used": 1, "allowed": 2},
        "stored_bytes": {"used": 5, "allowed": None},
    }


def test_only_an_admin_sets_limits(service: Service) -> None:
    writer = service.key_for("default")
    for method in ("GET", "PUT"):
        path = "/v1/projects/default/limits"
        answer = service.http.request(method, path, json={}, headers=writer)
        assert answer.status_code == 403


class Clock:
    """Stands still until it is told to go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_takes_a_burst_and_fills_steadily() -> None:
    clock = Clock()
    policy = Policy("reads", 6, clock)
    standings = [policy.take("a") for _ in range(6)]
    assert [s and (s.left, s.full_in_s) for s in standings] == [
        (5, 10), (4, 20), (3, 30), (2, 40), (1, 50), (0, 60)
    ]  # fmt: skip
    with pytest.raises(TooMany) as caught:
        policy.take("a")
    assert caught.value.headers == {"Retry-After": "10", "RateLimit": '"reads";r=0;t=60'}
    assert policy.take("b") is not None, "another has a bucket of its own"
    clock.now = 10.0
    assert policy.take("a") is not None
    with pytest.raises(TooMany):
        policy.take("a")


def test_buckets_do_not_grow_without_end() -> None:
    clock = Clock()
    policy = Policy("reads", 6, clock)
    for number in range(25_000):
        clock.now += 0.001
        policy.take(str(number))
    assert len(policy._buckets) <= 10_000


@pytest.fixture
def rates(service: Service) -> Clock:
    """Two reads, one write and one refusal a minute, on a clock of the test."""
    clock = Clock()
    settings = Settings(rate_reads=2, rate_writes=1, rate_refusals=1)
    service.http.app._app.state.rates = Rates(settings, clock)  # type: ignore[attr-defined]
    return clock


def test_every_answer_tells_how_the_key_stands_and_429_when_to_come_again(
    service: Service, rates: Clock
) -> None:
    first, second, third = (service.http.get("/v1/jobs") for _ in range(3))
    # draft-ietf-httpapi-ratelimit-headers-10: a name, the requests left, seconds until all are back
    assert first.headers["ratelimit"] == '"reads";r=1;t=30'
    assert second.headers["ratelimit"] == '"reads";r=0;t=60'
    assert (third.status_code, third.json()["code"]) == (429, "rate_limited")
    assert third.headers["retry-after"] == "30"
    assert third.headers["ratelimit"] == '"reads";r=0;t=60'
    assert '"reads";q=60000;w=60' in third.headers["ratelimit-policy"]
    assert service.http.post("/v1/jobs", json=SPEC).status_code == 202, "writing counts apart"
    other = service.key_for("default")
    assert service.http.get("/v1/jobs", headers=other).status_code == 200
    rates.now = 30.0
    assert service.http.get("/v1/jobs").status_code == 200
    assert "ratelimit" not in service.http.get("/livez").headers


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_addresses_that_one_caller_can_choose_from_share_a_bucket(
    address: str, bucket: str
) -> None:
    assert neighbourhood(address) == bucket


def test_an_address_whose_keys_are_refused_is_refused_unseen(
    service: Service, rates: Clock
) -> None:
    wrong = {"authorization": f"Bearer {generate_key()}"}
    assert service.http.get("/v1/jobs", headers=wrong).status_code == 401
    assert service.http.get("/v1/jobs", headers=wrong).status_code == 429


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/jobs?q=" + "x" * 9000, {}, 414, "address_too_long"),
        ("/v1/jobs/" + "x" * 9000, {}, 414, "address_too_long"),
        ("/v1/jobs", {"x-long": "y" * 17_000}, 431, "headers_too_large"),
        ("/v1/jobs", {f"x-{n}": "y" for n in range(101)}, 431, "headers_too_large"),
    ],
    ids=["query", "path", "long header", "many headers"],
)
def test_a_request_that_is_too_long_is_a_problem(
    http: TestClient, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = http.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
