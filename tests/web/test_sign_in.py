"""Signing in by key to a cookie, and what keeps other sites from using it."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from service.store.keys import KeyStore
from tests.web.conftest import Complaints, Dashboard, accessibility_violations


@pytest.fixture
def signed_in(dashboard: Dashboard) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=dashboard.url, trust_env=False) as client:
        answer = client.post("/ui/session", data={"key": dashboard.key, "next": "/ui"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui")
        yield client


def _token(client: httpx2.Client) -> str:
    text = client.get("/ui").text
    return text.split('name="csrf-token" content="')[1].split('"')[0]


def test_a_key_opens_a_session_whose_cookie_no_script_reads(
    signed_in: httpx2.Client, dashboard: Dashboard
) -> None:
    answer = httpx2.post(f"{dashboard.url}/ui/session", data={"key": dashboard.key})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert dashboard.key not in cookie
    assert signed_in.get("/v1/jobs").status_code == 200


def test_a_wrong_key_is_said_on_the_form(stranger: Page, complaints: Complaints) -> None:
    complaints.expected = ("401",)
    stranger.goto("/ui?status=failed")
    expect(stranger).to_have_url("/ui/sign-in?next=%2Fui%3Fstatus%3Dfailed")
    stranger.get_by_label("Key").fill("mp_wrong")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_be_visible()
    assert accessibility_violations(stranger) == []


def test_one_is_brought_where_one_wanted_to_go_and_never_elsewhere(dashboard: Dashboard) -> None:
    form = {"key": dashboard.key}
    for wanted, reached in (
        ("/ui/models?after=x", "/ui/models?after=x"),
        ("https://example.org", "/ui"),
        ("//example.org", "/ui"),
        ("/ui/../../x\\", "/ui"),
        ("/uixyz", "/ui"),
    ):
        answer = httpx2.post(f"{dashboard.url}/ui/session", data=form | {"next": wanted})
        assert answer.headers["location"] == reached


def test_a_change_by_cookie_needs_the_token_of_the_page(signed_in: httpx2.Client) -> None:
    spec = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}
    path = "/v1/jobs?validate_only=true"
    refused = signed_in.post(path, json=spec)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    wrong = signed_in.post(path, json=spec, headers={"X-CSRF-Token": "0" * 64})
    assert wrong.status_code == 403
    right = signed_in.post(path, json=spec, headers={"X-CSRF-Token": _token(signed_in)})
    assert right.status_code == 200


def test_a_form_of_another_site_signs_nobody_in(dashboard: Dashboard) -> None:
    for headers in (
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = httpx2.post(
            f"{dashboard.url}/ui/session", data={"key": dashboard.key}, headers=headers
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_signing_out_ends_the_session_at_once(page: Page, dashboard: Dashboard) -> None:
    cookie = page.context.cookies()[0]
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/ui/sign-in")
    assert page.context.cookies() == []
    again = httpx2.get(
        f"{dashboard.url}/v1/jobs", headers={"Cookie": f"{cookie['name']}={cookie['value']}"}
    )
    assert again.status_code == 401


def test_a_session_ends_with_its_key(signed_in: httpx2.Client, dashboard: Dashboard) -> None:
    made = signed_in.post(
        "/v1/keys",
        json={"project": "other", "scopes": ["read"]},
        headers={"X-CSRF-Token": _token(signed_in)},
    ).json()
    with httpx2.Client(base_url=dashboard.url, trust_env=False) as other:
        other.post("/ui/session", data={"key": made["key"]})
        assert other.get("/v1/jobs").status_code == 200
        with dashboard.database.transaction() as session:
            KeyStore(session).revoke(made["id"])
        assert other.get("/v1/jobs").status_code == 401
        assert other.get("/ui").headers["location"] == "/ui/sign-in"


def test_a_link_with_the_key_behind_the_hash_signs_in_and_leaves_no_trace(
    stranger: Page, dashboard: Dashboard
) -> None:
    stranger.goto("/ui/sign-in")
    stranger.goto(f"/ui/sign-in#key={dashboard.key}")
    expect(stranger).to_have_url("/ui")
    stranger.go_back()
    assert dashboard.key not in stranger.url
