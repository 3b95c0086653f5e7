"""Keys that end while they are in use, and keys where they have no place."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from typing import NoReturn

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from service.auth import Keyring, generate_key, new_key
from service.errors import Unauthorized
from service.key_text import without_keys
from service.store.errors import DatabaseUnavailable
from service.store.keys import KeyStore
from service.store.session import Database
from service.store.tables import Base
from tests.api.conftest import Service
from tests.waiting import wait_until

SPEC = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}


def revoke_elsewhere(service: Service, key_id: str) -> None:
    """As another API process does: nothing but the row tells."""
    with closing(Database(service.settings.database)) as other, other.transaction() as session:
        KeyStore(session).revoke(key_id)


def test_a_key_revoked_in_another_process_opens_nothing_from_then_on(service: Service) -> None:
    made = service.http.post("/v1/keys", json={}).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    assert service.http.get("/v1/jobs", headers=headers).status_code == 200
    revoke_elsewhere(service, made["id"])
    assert service.http.get("/v1/jobs", headers=headers).status_code == 401


def test_a_key_that_has_just_been_used_still_ends_on_time(database: Database) -> None:
    key, keyring = generate_key(), Keyring(database)
    with database.transaction() as session:
        ends = database.now(session) + timedelta(hours=1)
        made = KeyStore(session).create(new_key(key, "p", "k", ("read",), ends))
    assert keyring.caller(f"Bearer {key}").key_id == made.id
    with database.transaction() as session:
        made = session.merge(made)
        made.expires_at = database.now(session)
    with pytest.raises(Unauthorized, match="opens nothing"):
        keyring.caller(f"Bearer {key}")


def test_a_key_opens_what_may_be_read_while_nothing_can_be_written(database: Database) -> None:
    class ReadsOnly(Database):
        def transaction(self) -> NoReturn:
            raise DatabaseUnavailable("the disk is full")

    key = generate_key()
    with database.transaction() as session:
        KeyStore(session).create(new_key(key, "p", "test", ("read",)))
    with closing(ReadsOnly(database.url)) as reads_only:
        assert Keyring(reads_only).caller(f"Bearer {key}").project == "p"


def test_a_stream_ends_when_its_key_is_revoked(service: Service) -> None:
    made = service.http.post("/v1/keys", json={}).json()
    headers = {"authorization": f"Bearer {made['key']}", "accept": "text/event-stream"}
    with service.http.stream("GET", "/v1/events", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": still here"
        revoke_elsewhere(service, made["id"])
        assert list(lines) == [""]


def test_a_wait_ends_when_its_key_is_revoked(service: Service) -> None:
    made = service.http.post("/v1/keys", json={}).json()
    headers = {"authorization": f"Bearer {made['key']}", "prefer": "wait=50"}
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(service.http.post, "/v1/jobs", json=SPEC, headers=headers)
        wait_until(lambda: bool(service.http.get("/v1/jobs").json()["data"]), 20, "the job")
        revoke_elsewhere(service, made["id"])
        answer = waits.result()
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("place", ["path", "query", "header", "body"])
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(service: Service, place: str) -> None:
    match place:
        case "path":
            answer = service.http.get(f"/v1/jobs/{service.key}")
        case "query":
            answer = service.http.get("/v1/jobs", params={"q": f"my {service.key}"})
        case "header":
            headers = {"idempotency-key": service.key}
            answer = service.http.post("/v1/jobs", json=SPEC, headers=headers)
        case _:
            answer = service.http.post("/v1/jobs", json=SPEC | {"name": service.key})
    assert (answer.status_code, answer.json()["code"]) == (400, "misplaced_key")
    assert service.key not in answer.text


def test_a_word_that_only_looks_like_a_key_is_a_name_like_any_other(service: Service) -> None:
    answer = service.http.post("/v1/jobs", json=SPEC | {"name": "mp_" + "x" * 38})
    assert answer.status_code == 202


def test_a_request_id_that_is_a_key_is_replaced(service: Service) -> None:
    answer = service.http.get("/livez", headers={"x-request-id": service.key})
    assert service.key not in str(answer.headers)


def test_a_key_in_a_line_of_a_log_is_cut_down() -> None:
    key = generate_key()
    assert without_keys(f"as {key}.") == f"as {key[:7]}…."


def test_no_key_is_kept_logged_or_shown(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Every way a key comes in or is made, then every column, log line and error."""
    caplog.set_level(logging.DEBUG)
    http = service.http
    made = [http.post("/v1/keys", json={"name": "a"}).json() for _ in range(2)]
    keys = [service.key, generate_key(), *(each["key"] for each in made)]
    errors = []
    with capture_logs() as logged:
        for key in keys:
            sent = {"authorization": f"Bearer {key}"}
            http.post("/v1/jobs", json=SPEC, headers=sent)
            errors += [
                http.get(f"/v1/jobs/{key}", headers=sent),
                http.get("/v1/jobs", params={"label": key}, headers=sent),
                http.get("/v1/jobs", headers={"authorization": key}),
                http.get("/v1/jobs", headers={"authorization": f"Bearer {key}x"}),
                http.put(f"/v1/files/{key}", content=b"x", headers=sent),
                http.post("/v1/jobs", json=SPEC | {"labels": {key: key}}, headers=sent),
                http.post("/v1/jobs", json={"kind": key}, headers=sent),
                http.post("/v1/jobs", content=key, headers=sent),
                http.get("/v1/jobs", headers=sent | {"x-request-id": key}),
            ]
    assert {answer.status_code for answer in errors} <= {200, 400, 401, 415}
    shown = [answer.text + str(answer.headers) for answer in errors]
    kept = rows_of(service.database)
    ours = (record for record in caplog.records if not record.name.startswith("httpx"))
    lines = [str(record.__dict__) for record in ours] + [str(line) for line in logged]
    for key in keys:
        for text_ in (*shown, *kept, *lines):
            assert key not in text_


def rows_of(database: Database) -> list[str]:
    """Every row of every table, as text."""
    with database.read() as session:
        return [
            str(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in session.execute(text(f'SELECT * FROM "{table.name}"'))
        ]


def test_a_rotated_key_opens_until_its_grace_is_over(service: Service) -> None:
    old = service.http.post("/v1/keys", json={"project": "p", "scopes": ["read"]}).json()
    new = service.http.post(f"/v1/keys/{old['id']}/rotate", json={}).json()
    for key in (old, new):
        headers = {"authorization": f"Bearer {key['key']}"}
        assert service.http.get("/v1/jobs", headers=headers).status_code == 200
    listed = {key["id"]: key for key in service.http.get("/v1/keys").json()["data"]}
    assert listed[old["id"]]["rotated_to"] == new["id"]
    assert listed[old["id"]]["expires_at"] is not None
    assert (new["project"], new["scopes"], new["expires_at"]) == ("p", ["read"], None)
    again = service.http.post(f"/v1/keys/{old['id']}/rotate", json={})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_key_rotated_without_grace_ends_at_once(service: Service) -> None:
    old = service.http.post("/v1/keys", json={}).json()
    service.http.post(f"/v1/keys/{old['id']}/rotate", json={"grace_s": 0})
    headers = {"authorization": f"Bearer {old['key']}"}
    assert service.http.get("/v1/jobs", headers=headers).status_code == 401


def test_a_successor_lives_as_long_as_its_key_was_made_to(service: Service) -> None:
    with service.database.read() as session:
        ends = service.database.now(session) + timedelta(days=30)
    old = service.http.post("/v1/keys", json={"expires_at": ends.isoformat()}).json()
    new = service.http.post(f"/v1/keys/{old['id']}/rotate", json={}).json()
    lives = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert lives / timedelta(days=30) == pytest.approx(1, abs=1e-4)


def test_a_key_that_is_not_there_or_was_revoked_is_not_rotated(service: Service) -> None:
    made = service.http.post("/v1/keys", json={}).json()
    service.http.delete(f"/v1/keys/{made['id']}")
    assert service.http.post(f"/v1/keys/{made['id']}/rotate", json={}).status_code == 404
