"""Following jobs on a screen."""

import io

import httpx2
import pytest
from rich.console import Console

from service.cli.watch import follow
from service.client import JobFailed
from tests.client.service_double import JOB, job, serve, sse, stream

RUNNING = (1, "state", {"status": "running"})
EPOCH = (2, "epoch", {"epoch": 1, "validation_accuracy": 0.5})
HALFWAY = (None, "progress", {"fraction": 0.5, "phase": "training"})
REPORTING = (3, "phase", {"phase": "reporting"})
SUCCEEDED = (4, "state", {"status": "succeeded"})


def screen(is_terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=is_terminal, width=100), text


def shown(status: str, **fields: object) -> httpx2.Response:
    return httpx2.Response(200, json=job(status, **fields))


def test_lines_are_plain_where_there_is_no_terminal() -> None:
    client, _ = serve(
        shown("queued"), stream(sse(RUNNING, HALFWAY, EPOCH, SUCCEEDED)), shown("succeeded")
    )
    console, text = screen(is_terminal=False)
    follow({"teacher": client.jobs.get(JOB)}, console)
    assert text.getvalue().splitlines() == [
        "teacher: running",
        "teacher: epoch 1  validation accuracy 50.00 %",
        "teacher: succeeded",
    ]


def test_a_terminal_shows_a_bar_that_fills() -> None:
    client, _ = serve(
        shown("queued"),
        stream(sse(RUNNING, HALFWAY, EPOCH, REPORTING, SUCCEEDED)),
        shown("succeeded"),
    )
    console, text = screen(is_terminal=True)
    follow({"teacher": client.jobs.get(JOB)}, console)
    assert "100 %" in text.getvalue()
    assert "succeeded  epoch 1  validation accuracy 50.00 %" in text.getvalue()


def test_a_failure_is_raised_once_all_have_ended() -> None:
    error = {"code": "timeout", "message": "too long", "hint": None}
    failed = (2, "state", {"status": "failed"})
    client, _ = serve(shown("queued"), stream(sse(RUNNING, failed)), shown("failed", error=error))
    console, text = screen(is_terminal=False)
    with pytest.raises(JobFailed, match="too long"):
        follow({"teacher": client.jobs.get(JOB)}, console)
    assert text.getvalue().endswith("teacher: failed\n")
