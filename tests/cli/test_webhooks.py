"""`modelpress webhooks`: what is printed, and how a test that did not arrive ends."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from service.cli.main import main
from tests.cli.answering import Answering, serving
from tests.client.service_double import JOB, WHEN, page

HOOK = "whk_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
MESSAGE = "msg_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
SEEN = {
    "id": HOOK,
    "object": "webhook",
    "name": "ci",
    "url": "https://hooks.example.com/",
    "events": ["job.failed"],
    "status": "active",
    "created_at": WHEN,
    "succeeded_at": None,
    "failing_since": None,
    "old_secret_until": None,
}
DELIVERY = {
    "id": MESSAGE,
    "object": "delivery",
    "webhook": HOOK,
    "event": "job.failed",
    "job": JOB,
    "status": "failed",
    "tries": 8,
    "response_status": 503,
    "error": "answered 503",
    "created_at": WHEN,
    "tried_at": WHEN,
    "next_try_at": None,
    "finished_at": WHEN,
}
Asked = list[tuple[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """What a real HTTP server was sent that knows one webhook."""
    seen: Asked = []

    class Handler(Answering):
        def do_GET(self) -> None:
            seen.append((self.path, None))
            self.answer(200, page(DELIVERY if "deliveries" in self.path else SEEN).content)

        def do_POST(self) -> None:
            body = self.body() if int(self.headers["content-length"] or 0) else None
            seen.append((self.path, body))
            answer = DELIVERY if self.path.endswith("/test") else SEEN | {"secret": "whsec_AAAA"}
            self.answer(201, json.dumps(answer).encode())

    with serving(Handler) as url:
        monkeypatch.setenv("MODELPRESS_URL", url)
        yield seen


def run(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as caught:
        main(["webhooks", *arguments])
    return int(caught.value.code or 0)


def test_making_one_prints_its_id_and_secret(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://hooks.example.com/"
    assert run("create", url, "--event", "job.failed", "--name", "ci") == 0
    assert capsys.readouterr().out.split() == [HOOK, "whsec_AAAA"]
    assert asked == [("/v1/webhooks", {"url": url, "events": ["job.failed"], "name": "ci"})]
    assert run("create", url, "--event", "job.lost") == 2


def test_lists_show_webhooks_and_their_messages(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list") == 0
    assert run("deliveries", HOOK, "--status", "failed") == 0
    assert asked[1][0] == f"/v1/webhooks/{HOOK}/deliveries?status=failed"
    printed = capsys.readouterr().out
    assert all(word in printed for word in (HOOK, "active", MESSAGE, "answered"))


def test_a_test_that_does_not_arrive_says_why_and_exits_with_1(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test", HOOK) == 1
    assert "answered 503" in capsys.readouterr().err


def test_rotating_prints_the_new_secret(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rotate", HOOK, "--overlap-hours", "0.5") == 0
    assert capsys.readouterr().out == "whsec_AAAA\n"
    assert asked == [(f"/v1/webhooks/{HOOK}/rotate?overlap_s=1800", None)]
