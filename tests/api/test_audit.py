"""Who did what: every write and every refusal, and nothing that did not happen."""

from typing import Any

import pytest
from sqlalchemy import select, text

from service.api.browser import token_of
from service.contract.ids import new_id
from service.store.session import Database
from service.store.tables import AuditRow
from tests.api.conftest import Service
from tests.api.test_files import put, safetensors

SPEC = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}
_FAILS = "SELECT RAISE(ABORT, 'no')"


def entries(service: Service, **params: str) -> list[dict[str, Any]]:
    answer = service.http.get("/v1/audit", params=params)
    assert answer.status_code == 200
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def told(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry[name] for name in ("action", "outcome", "target", "status", "code"))


def test_a_submission_and_a_cancellation_name_their_job(service: Service) -> None:
    headers = service.key_for("vision") | {"x-request-id": "abc-1"}
    job = service.http.post("/v1/jobs", json=SPEC, headers=headers).json()["id"]
    service.http.post(f"/v1/jobs/{job}/cancel", headers=headers)
    cancelled, submitted = entries(service, target=job)
    assert told(submitted) == ("submit_job", "done", job, None, None)
    assert told(cancelled) == ("cancel_job", "done", job, None, None)
    assert (submitted["project"], submitted["request_id"]) == ("vision", "abc-1")
    assert submitted["key"].startswith("key_")
    assert submitted["address"] == "testclient"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/keys", {"name": "new"}),
        ("POST", "/v1/uploads", {"name": "weights.npz", "bytes": 10}),
        ("POST", "/v1/webhooks", {"url": "https://hooks.example.com/"}),
        ("POST", "/v1/models", {"file": "w.safetensors", "architecture": "cnn_student"}),
        ("POST", "/v1/datasets", {"source": "photos", "path": "a.npz", "format": "npz"}),
    ],
)
def test_what_is_made_is_named_by_the_id_it_was_given(
    service: Service, method: str, path: str, body: dict[str, Any]
) -> None:
    put(service.http, "w.safetensors", safetensors())
    made = service.http.request(method, path, json=body).json()["id"]
    assert entries(service)[0]["target"] == made


def test_a_file_and_its_deletion_are_named(service: Service) -> None:
    service.http.put("/v1/files/a.npz", content=b"x")
    service.http.delete("/v1/files/a.npz")
    assert [entry["action"] for entry in entries(service, target="a.npz")] == [
        "delete_file",
        "put_file",
    ]


def test_who_signs_in_and_out_with_a_browser_is_named(service: Service) -> None:
    http, key = service.http, service.key_for("vision")["authorization"].split()[1]
    page, ours = "/ui/session", {"origin": "http://testserver"}
    http.post(page, data={"key": key}, headers=ours, follow_redirects=False)
    secret = http.cookies["modelpress_session"]
    token = {"X-CSRF-Token": token_of(secret)}
    http.delete(page, headers=token, follow_redirects=False)
    http.post(page, data={"key": "mp_x"}, headers=ours)
    refused, out, signed_in = entries(service)
    assert told(signed_in) == ("sign_in", "done", None, None, None)
    assert told(out) == ("sign_out", "done", None, None, None)
    assert signed_in["project"] == out["project"] == "vision"
    assert signed_in["key"] == out["key"]
    assert told(refused) == ("sign_in", "refused", None, 401, "unauthorized")


def test_reading_leaves_no_trace(service: Service) -> None:
    service.http.get("/v1/jobs")
    service.http.post("/v1/jobs", json=SPEC, params={"validate_only": True})
    assert [entry["outcome"] for entry in entries(service)] == ["unchanged"]


def test_a_scope_too_small_and_a_key_that_ended_are_refused_by_name(service: Service) -> None:
    made = service.http.post("/v1/keys", json={"project": "p", "scopes": ["read"]}).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    service.http.post("/v1/jobs", json=SPEC, headers=headers)
    service.http.delete(f"/v1/keys/{made['id']}")
    service.http.get("/v1/jobs", headers=headers)
    ended, too_small = entries(service, key=made["id"])
    assert told(too_small) == ("submit_job", "refused", None, 403, "insufficient_scope")
    assert told(ended) == ("list_jobs", "refused", None, 401, "unauthorized")


def test_a_flood_of_bad_keys_is_one_entry(service: Service) -> None:
    service.http.get("/v1/audit")
    for _ in range(30):
        service.http.get("/v1/jobs", headers={"authorization": "Bearer mp_x"})
    refused = entries(service, outcome="refused")
    assert sum(entry["times"] for entry in refused) == 30
    assert len(refused) <= 3  # one a second
    assert all(entry["key"] is None for entry in refused)


def test_a_write_that_fails_is_told_as_such(service: Service) -> None:
    missing = new_id("job")
    service.http.delete(f"/v1/jobs/{missing}")
    assert [told(entry) for entry in entries(service)] == [
        ("delete_job", "failed", missing, 404, "not_found")
    ]


def test_a_change_that_is_rolled_back_leaves_no_entry_of_it(service: Service) -> None:
    with service.database.transaction() as session:
        session.execute(text(f"CREATE TRIGGER no BEFORE DELETE ON jobs BEGIN {_FAILS}; END"))
    job = service.http.post("/v1/jobs", json=SPEC).json()["id"]
    service.http.post(f"/v1/jobs/{job}/cancel")
    assert service.http.delete(f"/v1/jobs/{job}").status_code == 500
    assert told(entries(service)[0]) == ("delete_job", "failed", job, 500, "internal")


def test_only_an_admin_reads_the_log_page_by_page(service: Service) -> None:
    assert service.http.get("/v1/audit", headers=service.key_for("default")).status_code == 403
    for number in range(3):
        service.http.put(f"/v1/files/{number}.npz", content=b"x")
    first = service.http.get("/v1/audit", params={"action": "put_file", "limit": 2}).json()
    assert first["has_more"]
    rest = entries(service, action="put_file", after=first["last_id"])
    assert [entry["target"] for entry in rest] == ["0.npz"]
    moment = rest[0]["at"]
    assert len(entries(service, action="put_file", created_after=moment)) == 3
    assert entries(service, action="put_file", created_before=moment) == []
    assert service.http.get("/v1/audit", params={"created_after": "2026-01-01T00:00:00"}).is_error


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/jobs"])
@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("0001-01-01T00:00:00Z", 200),
        ("9999-12-31T23:59:59Z", 200),
        ("0001-01-01T00:00:00+14:00", 422),
        ("9999-12-31T23:59:59-14:00", 422),
    ],
)
def test_times_at_the_ends_of_the_calendar_are_no_errors_of_ours(
    service: Service, path: str, moment: str, status: int
) -> None:
    assert service.http.get(path, params={"created_after": moment}).status_code == status


def test_what_no_request_does_is_not_written_down(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE jobs SET name = NULL"))
    with database.read() as session:
        assert session.scalars(select(AuditRow)).all() == []
