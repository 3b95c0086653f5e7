"""`modelpress recommend` against a real HTTP server that knows one answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answering import Answering, serving
from tests.cli.test_commands import run
from tests.client.service_double import JOB, MODEL, job
from tests.client.test_recommendations import answer


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The bodies that were sent."""
    monkeypatch.chdir(tmp_path)
    bodies: list[dict[str, Any]] = []
    queued = json.dumps(job("queued")).encode()
    answers = {"/v1/recommendations": answer().content, "/v1/jobs": queued}

    class Handler(Answering):
        def do_POST(self) -> None:
            bodies.append(self.body())
            self.answer(200, answers[self.path])

    with serving(Handler) as url:
        monkeypatch.setenv("MODELPRESS_URL", url)
        yield bodies


def test_the_best_are_shown_with_their_reasons(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--max-accuracy-drop", "1", "--min-speedup", "2", "--batch-size", "8"]
    assert run("recommend", MODEL, "--dataset", "digits", *options, "--most", "1") == 0
    assert asked == [
        {
            "model": MODEL,
            "dataset": "digits",
            "targets": {"min_speedup": 2.0, "max_accuracy_drop_points": 1.0, "batch_size": 8},
        }
    ]
    shown = capsys.readouterr().out
    assert "1. Remove channels until the targets are kept" in shown
    assert "expected 2.00× fewer MACs: the job keeps the target or fails" in shown
    assert '"kind": "prune"' in shown
    assert "2. " not in shown
    assert "more: --most" in shown


def test_one_is_followed_by_its_rank(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("recommend", MODEL, "--dataset", "digits", "--follow", "1") == 0
    assert asked[1]["kind"] == "prune"
    assert capsys.readouterr().out == f"{JOB}\n"
    assert run("recommend", MODEL, "--dataset", "digits", "--follow", "99") == 2
    assert len(asked) == 3


def test_json_is_printed_for_programs(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("recommend", MODEL, "--dataset", "digits", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recommendations"][0]["rank"] == 1
