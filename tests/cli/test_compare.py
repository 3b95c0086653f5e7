"""`modelpress compare` against a real HTTP server that knows one comparison."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from service.contract.comparisons import Comparison
from tests.cli.test_commands import run
from tests.comparisons.samples import STUDENT, TEACHER, everything

TARGETS = {"min_speedup": 6.0, "max_accuracy_drop_points": 1.0}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The bodies that were sent."""
    monkeypatch.chdir(tmp_path)
    bodies: list[dict[str, Any]] = []
    made = everything(targets=TARGETS).model_dump_json().encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, b"<!doctype html>")

        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._answer(201, made)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("MODELPRESS_URL", f"http://127.0.0.1:{server.server_port}")
        yield bodies
        server.shutdown()
        thread.join()


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
