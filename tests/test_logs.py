"""Lines of the log, as a process writes them."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from service.api.request_log import note
from service.audit import Operation
from service.config import Settings
from service.key_text import generate_key
from service.logs import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


Output = pytest.CaptureFixture[str]


def lines(output: Output) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.readouterr().err.splitlines()]


def test_away_from_a_terminal_every_line_is_json_also_those_of_others(capsys: Output) -> None:
    configure(Settings())
    with structlog.contextvars.bound_contextvars(job="job_1", run=2, request_id="req_1"):
        logging.getLogger("worker.runner").info("job %s: %s", "job_1", "succeeded")
        logging.getLogger("other").info("hidden", extra={"secret": "word"})
        logging.getLogger("httpx2").info("HTTP Request: GET …")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    first, second, third = lines(capsys)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "job job_1: succeeded",
        "level": "info",
        "logger": "worker.runner",
        "job": "job_1",
        "run": 2,
        "request_id": "req_1",
    }
    assert "secret" not in second
    assert (third["logger"], third["level"]) == ("py.warnings", "warning")


def test_at_a_terminal_lines_are_for_people_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for chosen, starts in (("auto", False), ("json", True), ("console", False)):
        written = Terminal()
        monkeypatch.setattr(sys, "stderr", written)
        configure(Settings(log_format=chosen))
        logging.getLogger("x").info("hello")
        assert written.getvalue().startswith("{") is starts


def test_changes_and_failures_are_told_and_reads_are_not(capsys: Output) -> None:
    configure(Settings())
    operation = Operation("req_1", None, action="submit_job", target="job_1")
    note("POST", "/v1/jobs", 202, 0.0123, operation)
    note("GET", "/v1/jobs", 200, 0.001, Operation("req_2", None))
    note("GET", "/v1/jobs/{job_id}", 404, 0.001, Operation("req_3", None))
    first, second = lines(capsys)
    told = {name: first[name] for name in ("method", "route", "status", "ms", "action", "target")}
    assert told == {
        "method": "POST",
        "route": "/v1/jobs",
        "status": 202,
        "ms": 12.3,
        "action": "submit_job",
        "target": "job_1",
    }
    assert (second["status"], "target" in second) == (404, False)


def test_a_key_in_a_line_is_cut_down(capsys: Output) -> None:
    key = generate_key()
    configure(Settings(log_format="json"))
    logging.getLogger("x").warning("refused %s", key)
    assert key not in capsys.readouterr().err
