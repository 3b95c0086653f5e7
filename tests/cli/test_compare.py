"""`modelpress compare` against a real HTTP server that knows one comparison."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.contract.comparisons import Comparison
from tests.cli.answering import Answering, serving
from tests.cli.test_commands import run
from tests.comparisons.samples import STUDENT, TEACHER, everything

TARGETS = {"min_speedup": 6.0, "max_accuracy_drop_points": 1.0}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The bodies that were sent."""
    monkeypatch.chdir(tmp_path)
    bodies: list[dict[str, Any]] = []
    made = everything(targets=TARGETS).model_dump_json().encode()

    class Handler(Answering):
        def do_GET(self) -> None:
            self.answer(200, b"<!doctype html>")

        def do_POST(self) -> None:
            bodies.append(self.body())
            self.answer(201, made)

    with serving(Handler) as url:
        monkeypatch.setenv("MODELPRESS_URL", url)
        yield bodies


def test_models_are_compared_and_the_tables_are_shown(
    asked: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promises = [f"{name}={value}" for name, value in TARGETS.items()]
    options = ["--targets", promises[0], "--targets", promises[1], "--html", "page.html"]
    assert run("compare", TEACHER, STUDENT, "--axis", "macs", *options) == 0
    assert asked == [{"models": [TEACHER, STUDENT], "targets": TARGETS, "axes": ["macs"]}]
    shown = capsys.readouterr().out
    assert "#2 cnn_student" in shown
    assert "97.22 %" in shown
    assert "not measured" in shown
    assert (tmp_path / "page.html").read_text() == "<!doctype html>"


def test_json_is_printed_for_programs(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", TEACHER, STUDENT, "--baseline", STUDENT, "--json") == 0
    assert asked[0]["baseline"] == STUDENT
    assert Comparison.model_validate_json(capsys.readouterr().out).values.baseline == TEACHER
