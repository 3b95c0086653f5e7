"""Progress for people, without widgets."""

import io
from pathlib import Path

import httpx2
import pytest

from service.client.progress import Line, amount, bar, bytes_progress
from tests.client.service_double import BODY, JOB, file, job, serve, sse, stream

RUNNING = (1, "state", {"status": "running"})
HALFWAY = (None, "progress", {"fraction": 0.5, "phase": "training"})
EPOCH = (2, "epoch", {"epoch": 1, "validation_accuracy": 0.5})
REPORTING = (3, "phase", {"phase": "reporting"})
SUCCEEDED = (4, "state", {"status": "succeeded"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def waited(monkeypatch: pytest.MonkeyPatch, file: io.StringIO) -> str:
    monkeypatch.setattr("sys.stderr", file)
    client, _ = serve(
        httpx2.Response(200, json=job()),
        stream(sse(RUNNING, EPOCH, HALFWAY, REPORTING, SUCCEEDED)),
        httpx2.Response(200, json=job("succeeded")),
    )
    client.jobs.get(JOB).wait(progress=True)
    return file.getvalue()


def test_a_log_gets_a_line_for_each_epoch_and_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, io.StringIO()).splitlines() == [
        f"train {JOB} running",
        f"train {JOB} epoch 1  validation accuracy 50.00%",
        f"train {JOB} reporting",
        f"train {JOB} succeeded  epoch 1  validation accuracy 50.00%",
    ]


def test_a_terminal_gets_one_line_that_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = waited(monkeypatch, Terminal())
    assert f"\rtrain {JOB} [############............]  50% epoch 1" in shown
    assert shown.count("\n") == 2  # running, succeeded
    assert "succeeded" in shown.splitlines()[-1]


def test_what_is_shorter_than_before_leaves_nothing_of_it() -> None:
    terminal = Terminal()
    line = Line(terminal)
    line.draw("a long line")
    line.end("short")
    assert terminal.getvalue().rpartition("\r")[2] == "short" + " " * 6 + "\n"


def test_an_upload_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(BODY * 10)
    client, service = serve(httpx2.Response(201, json=file("a.npz", BODY * 10)))
    seen: list[tuple[int, int | None]] = []
    client.files.put(path, on_bytes=lambda done, total: seen.append((done, total)))
    assert service.requests[0].content == BODY * 10
    assert service.requests[0].headers["content-length"] == "102400"
    assert [done for done, _ in seen] == [65_536, 102_400]
    assert {total for _, total in seen} == {102_400}


def test_bytes_are_shown_as_they_come() -> None:
    terminal = Terminal()
    show = bytes_progress("model", Line(terminal))
    show(300_000, 600_000)
    show(600_000, 600_000)
    first, last = terminal.getvalue().removeprefix("\r").split("\r")
    assert first == "model [############............]  50% 300.0 kB of 600.0 kB"
    assert last.rstrip(" \n") == "model 600.0 kB"


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2_500_000_000, "2.5 GB")]
)
def test_amounts_are_in_decimal_units(count: int, words: str) -> None:
    assert amount(count) == words


def test_a_bar_has_one_width() -> None:
    assert {len(bar(fraction)) for fraction in (0.0, 0.333, 1.0)} == {31}
