"""Who comes in, and what is refused before any route is reached."""

import re

import pytest
from fastapi.testclient import TestClient

from service.contract.ids import new_id
from service.key_text import generate_key, is_well_formed
from tests.api.conftest import Service

SPEC = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}


def test_a_generated_key_is_well_formed_and_a_mistyped_one_is_not() -> None:
    key = generate_key()
    assert re.fullmatch(r"mp_[0-9A-Za-z]{38}", key)
    assert is_well_formed(key)
    swapped = "A" if key[5] != "A" else "B"
    assert not is_well_formed(key[:5] + swapped + key[6:])


def test_without_a_key_the_answer_is_401_and_says_how_to_send_one(http: TestClient) -> None:
    answer = http.get("/v1/jobs", headers={"authorization": ""})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"


def test_a_well_formed_key_that_nobody_made_is_refused(http: TestClient) -> None:
    headers = {"authorization": f"Bearer {generate_key()}"}
    assert http.get("/v1/jobs", headers=headers).status_code == 401


def test_a_revoked_key_opens_nothing_from_then_on(service: Service) -> None:
    made = service.http.post("/v1/keys", json={"name": "short-lived"}).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    assert service.http.get("/v1/jobs", headers=headers).status_code == 200
    assert service.http.delete(f"/v1/keys/{made['id']}").status_code == 204
    assert service.http.get("/v1/jobs", headers=headers).status_code == 401


def test_a_key_is_shown_once_and_kept_as_a_hash(service: Service) -> None:
    made = service.http.post("/v1/keys", json={"project": "vision", "scopes": ["read"]}).json()
    listed = service.http.get("/v1/keys").json()["data"]
    assert made["id"] in {key["id"] for key in listed}
    assert all("key" not in key for key in listed)
    stored = (service.settings.data_dir / "modelpress.db").read_bytes()
    assert made["key"].encode() not in stored


def test_a_reader_may_not_submit_and_a_writer_may_not_make_keys(service: Service) -> None:
    reader = service.key_for("default", "read")
    answer = service.http.post("/v1/jobs", json=SPEC, headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    writer = service.key_for("default", "read", "write")
    assert service.http.post("/v1/keys", json={}, headers=writer).status_code == 403


def test_another_projects_job_looks_like_one_that_is_not_there(service: Service) -> None:
    job = service.http.post("/v1/jobs", json=SPEC).json()
    stranger = service.key_for("other", "read", "write")
    missing = new_id("job")
    for path in ("", "/events", "/metrics", "/logs", "/checkpoints", "/artifacts", "/report"):
        hidden = service.http.get(f"/v1/jobs/{job['id']}{path}", headers=stranger)
        absent = service.http.get(f"/v1/jobs/{missing}{path}", headers=stranger)
        assert hidden.status_code == absent.status_code == 404
        assert hidden.json()["detail"] == absent.json()["detail"].replace(missing, job["id"])
    for verb in ("cancel", "pause", "resume", "retry"):
        path = f"/v1/jobs/{job['id']}/{verb}"
        assert service.http.post(path, headers=stranger).status_code == 404


def test_the_key_of_the_settings_works_and_stays_revoked(service: Service) -> None:
    own = next(k for k in service.http.get("/v1/keys").json()["data"] if k["name"] == "bootstrap")
    assert service.http.delete(f"/v1/keys/{own['id']}").status_code == 204
    assert service.http.get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_such_route"),
        ("GET", "/v1/nowhere", 404, "no_such_route"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
    ],
)
def test_unknown_routes_and_methods_are_problems_too(
    http: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"], body["instance"]) == (code, status, path)
    assert body["request_id"] == answer.headers["x-request-id"]


def test_a_sane_request_id_is_kept_and_another_is_replaced(http: TestClient) -> None:
    assert http.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    replaced = http.get("/livez", headers={"x-request-id": "a b\t"}).headers["x-request-id"]
    assert replaced.startswith("req_")


def test_a_large_body_is_refused_by_its_length_and_by_count(http: TestClient) -> None:
    big = b'"' + b"x" * (1 << 16) + b'"'
    json_type = {"content-type": "application/json"}
    assert http.post("/v1/jobs", content=big, headers=json_type).status_code == 413
    chunks = (big[i : i + 4096] for i in range(0, len(big), 4096))
    counted = http.post("/v1/jobs", content=chunks, headers=json_type)
    assert (counted.status_code, counted.json()["code"]) == (413, "too_large")


def test_a_body_that_is_not_json_is_415_or_400(http: TestClient) -> None:
    form = http.post("/v1/jobs", data={"kind": "train"})
    assert form.status_code == 415
    broken = http.post("/v1/jobs", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "not_json")


def test_deep_nesting_is_refused_and_brackets_in_strings_do_not_count(http: TestClient) -> None:
    headers = {"content-type": "application/json"}
    deep = b"[" * 20_000 + b"]" * 20_000
    answer = http.post("/v1/jobs", content=deep, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "too_deep")
    named = SPEC | {"name": '[[[[[["\\[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['}
    assert http.post("/v1/jobs?validate_only=true", json=named).status_code == 200


def test_every_answer_carries_the_security_headers(http: TestClient) -> None:
    for path in ("/livez", "/v1/jobs", "/nowhere", "/docs", "/openapi.json"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_documentation_needs_no_other_host(http: TestClient) -> None:
    page = http.get("/docs", headers={"authorization": ""})
    assert page.status_code == 200
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert sources
    assert all(source.startswith("/") for source in sources)
    for source in sources:
        assert http.get(source).status_code == 200
