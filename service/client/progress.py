"""Progress as one line of text that is drawn again: in terminals and in notebooks, without widgets.

Where nobody watches, in a log or a pipe, a line is written when something has happened.
"""

import sys
import time
from typing import Final, TextIO

from service.client.download import OnBytes
from service.client.events import Event

_EVERY_S: Final = 0.1
_BAR: Final = 24
_UNITS: Final = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))


class Line:
    """A line that is drawn again and again.

    Notebooks understand a carriage return as terminals do, but show standard error in red.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        in_notebook = "ipykernel" in sys.modules
        self._file = file or (sys.stdout if in_notebook else sys.stderr)
        self.is_watched = in_notebook or self._file.isatty()
        self._width = 0
        self._drawn = 0.0

    def draw(self, text: str) -> None:
        """Show it in the place of what stands there; often only now and then."""
        if self.is_watched and time.monotonic() - self._drawn >= _EVERY_S:
            self._write(f"\r{text:<{self._width}}")
            self._width, self._drawn = len(text), time.monotonic()

    def end(self, text: str) -> None:
        """Show it, to stay."""
        start = "\r" if self.is_watched else ""
        self._write(f"{start}{text:<{self._width}}\n")
        self._width, self._drawn = 0, 0.0

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


class JobProgress:
    """Shows a job's events; to be called with each, in order."""

    def __init__(self, title: str, line: Line) -> None:
        self._title = title
        self._line = line
        self._note = ""
        self._reached = ""

    def __call__(self, event: Event) -> None:
        data = event.data
        match event.type:
            case "progress":
                self._line.draw(f"{self._title} {bar(data['fraction'])} {self._note}".rstrip())
            case "state":
                self._line.end(f"{self._title} {data['status']}  {self._reached}".rstrip())
            case "phase":
                self._note = str(data["phase"])
            case "epoch":
                self._note = f"epoch {data['epoch']}"
                if "validation_accuracy" in data:
                    self._note += f"  validation accuracy {data['validation_accuracy']:.2%}"
                self._reached = self._note
            case "warning":
                self._line.end(f"{self._title} warning: {data.get('message', '')}")
        if event.type in ("phase", "epoch") and not self._line.is_watched:
            self._line.end(f"{self._title} {self._note}")


def chosen(on_bytes: OnBytes | None, progress: bool, title: str) -> OnBytes | None:
    """Who hears of bytes: the caller's own function, else a line if one was asked for."""
    return on_bytes or (bytes_progress(title, Line()) if progress else None)


def bytes_progress(title: str, line: Line) -> OnBytes:
    """Shows bytes as they come or go; the line stays when all are there."""

    def show(done: int, total: int | None) -> None:
        if total is None:
            line.draw(f"{title} {amount(done)}")
        elif done < total:
            line.draw(f"{title} {bar(done / total)} {amount(done)} of {amount(total)}")
        else:
            line.end(f"{title} {amount(total)}")

    return show


def bar(fraction: float) -> str:
    """A bar of fixed width with its percentage."""
    full = round(fraction * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {fraction:4.0%}"


def amount(count: int) -> str:
    """Bytes in decimal multiples: 600.2 kB."""
    unit, size = next(((u, s) for u, s in _UNITS if count >= s), _UNITS[-1])
    return f"{count / size:.0f} {unit}" if size == 1 else f"{count / size:.1f} {unit}"
