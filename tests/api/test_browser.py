"""What a cookie may do, and what the pages say when something is away."""

from collections.abc import Iterator
from typing import Final

import pytest

from service.auth import Keyring
from service.contract.ids import new_id
from tests.api.conftest import Service

HOST: Final = {"origin": "http://testserver"}
SCRIPT: Final = "<script>alert('🙂')</script>"


@pytest.fixture
def signed_in(service: Service) -> Iterator[Service]:
    """The client has a cookie, and no key any more."""
    key = service.http.headers.pop("authorization").split()[1]
    _sign_in(service, key)
    yield service
    service.http.cookies.clear()


def _sign_in(service: Service, key: str) -> None:
    answer = service.http.post(
        "/ui/session", data={"key": key}, headers=HOST, follow_redirects=False
    )
    assert answer.status_code == 303


def test_no_operation_that_changes_something_takes_a_cookie_alone(signed_in: Service) -> None:
    """A new operation is among them by itself."""
    paths = signed_in.http.get("/openapi.json").json()["paths"]
    changing = [
        (method, path)
        for path, methods in paths.items()
        for method in methods
        if method not in ("get", "head")
    ]
    assert len(changing) >= 25
    for method, path in changing:
        absent = path
        while "{" in absent:
            absent = absent.replace(
                absent[absent.index("{") : absent.index("}") + 1], new_id("job")
            )
        body: dict[str, str] | None = (
            {} if method in ("post", "put") and "files" not in path else None
        )
        answer = signed_in.http.request(method.upper(), absent, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), (method, path)


def test_a_stream_ends_when_its_browser_signs_out(signed_in: Service) -> None:
    secret = signed_in.http.cookies["modelpress_session"]
    with signed_in.http.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": still here"
        Keyring(signed_in.database).sign_out(secret)
        assert list(lines) == [""]


def test_an_origin_that_is_no_address_is_another_site(service: Service) -> None:
    answer = service.http.post(
        "/ui/session", data={"key": service.key}, headers={"origin": "http://["}
    )
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_signing_in_again_ends_the_session_before(signed_in: Service) -> None:
    before = signed_in.http.cookies["modelpress_session"]
    _sign_in(signed_in, signed_in.key)
    assert signed_in.http.cookies["modelpress_session"] != before
    signed_in.http.cookies.clear()
    again = signed_in.http.get("/v1/jobs", headers={"cookie": f"modelpress_session={before}"})
    assert again.status_code == 401


def test_a_session_of_a_key_that_reads_cannot_write(service: Service) -> None:
    key = service.key_for("default", "read")["authorization"].split()[1]
    del service.http.headers["authorization"]
    _sign_in(service, key)
    text = service.http.get("/ui").text
    token = text.split('name="csrf-token" content="')[1].split('"')[0]
    answer = service.http.post(f"/v1/jobs/{new_id('job')}/cancel", headers={"x-csrf-token": token})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


def test_over_tls_the_cookie_is_for_this_host_and_tls_only(service: Service) -> None:
    answer = service.http.post(
        "https://testserver/ui/session", data={"key": service.key}, follow_redirects=False
    )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-modelpress_session=")
    assert {"Secure", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()


def test_the_name_of_a_job_is_text_on_its_pages(service: Service) -> None:
    body = {
        "kind": "train",
        "model": {"architecture": "cnn_student"},
        "dataset": "digits",
        "name": SCRIPT,
    }
    job = service.http.post("/v1/jobs", json=body).json()["id"]
    for path in ("/ui", f"/ui/jobs/{job}"):
        text = service.http.get(path).text
        assert "🙂" in text, path
        assert "<script>alert" not in text, path


def test_a_page_without_its_database_says_so_in_words(service: Service) -> None:
    service.database.close()
    for file in service.settings.data_dir.glob("*.db*"):
        file.unlink()
        file.mkdir()
    answer = service.http.get("/ui/models")
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_an_address_that_only_begins_like_a_page_is_answered_by_the_api(service: Service) -> None:
    answer = service.http.get("/uixyz")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
