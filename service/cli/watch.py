"""Jobs as they run: bars on a terminal, plain lines elsewhere."""

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from service.client import Event, Job
from service.contract.lifecycle import TERMINAL
from service.contract.wire import EventRead
from service.reports.show import percent

_CHECK_S: Final = 1.0


class _Display(Protocol):
    def show(self, title: str, event: Event) -> None: ...


def follow(
    jobs: Mapping[str, Job], console: Console, *, check: Callable[[], None] = lambda: None
) -> None:
    """Show jobs, by title, until all of them have ended.

    `check` is called about once a second and may raise to stop waiting. Raises the first
    `JobEnded` met, or whatever else went wrong. Ctrl-C leaves the jobs running.
    """
    if not console.is_terminal:
        _follow(jobs, _Lines(console), check)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn(
            "{task.fields[note]}",
            style="dim",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),  # it gives way first
        ),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        _follow(jobs, _Bars(progress, list(jobs)), check)


def _follow(jobs: Mapping[str, Job], display: _Display, check: Callable[[], None]) -> None:
    """Each job has a thread that listens; this one draws, so that Ctrl-C is heard at once."""
    heard: queue.Queue[tuple[str, Event | Exception | None]] = queue.Queue()

    def listen(title: str, job: Job) -> None:
        try:
            job.wait(on_event=lambda event: heard.put((title, event)))
            heard.put((title, None))
        except Exception as error:  # whatever it is, the one who waits must hear of it
            heard.put((title, error))

    for title, job in jobs.items():
        threading.Thread(target=listen, args=(title, job), daemon=True).start()
    failures: list[Exception] = []
    running = len(jobs)
    while running:
        try:
            title, said = heard.get(timeout=_CHECK_S)
        except queue.Empty:
            check()
            continue
        if isinstance(said, Event):
            display.show(title, said)
            continue
        running -= 1
        if said is not None:
            failures.append(said)
    if failures:
        raise failures[0]


class _Bars:
    def __init__(self, progress: Progress, titles: list[str]) -> None:
        self._progress = progress
        width = max(map(len, titles))
        self._tasks: dict[str, TaskID] = {
            title: progress.add_task(title.ljust(width), total=1.0, start=False, note="queued")
            for title in titles
        }
        self._reached = dict.fromkeys(titles, "")

    def show(self, title: str, event: Event) -> None:
        task = self._tasks[title]
        match event.type:
            case "progress":
                self._progress.update(task, completed=event.data["fraction"])
            case "state":
                self._show_state(title, event.data["status"])
            case "epoch":
                self._reached[title] = describe(event)
                self._note(title, describe(event))
            case _:
                self._note(title, describe(event))

    def _show_state(self, title: str, status: str) -> None:
        task = self._tasks[title]
        if status == "running":
            self._progress.start_task(task)
        if status == "succeeded":
            self._progress.update(task, completed=1.0)
        if status in TERMINAL:
            self._progress.stop_task(task)
        keep = self._reached[title] if status == "succeeded" else ""
        self._progress.update(task, note=f"{status}  {keep}".rstrip())

    def _note(self, title: str, text: str) -> None:
        self._progress.update(self._tasks[title], note=text)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, title: str, event: Event) -> None:
        if event.type != "progress":
            self._console.print(f"{title}: {describe(event)}", markup=False)


def describe(event: Event | EventRead) -> str:
    """An event in a few words."""
    data = event.data
    match event.type:
        case "state":
            return str(data["status"])
        case "phase":
            return str(data["phase"])
        case "epoch":
            accuracy = f"validation accuracy {percent(data['validation_accuracy'])}"
            return f"epoch {data['epoch']}  {accuracy}"
        case "checkpoint":
            return f"checkpoint at step {data['step']}"
        case "exported":
            return f"exported to {data['to']}: {data['url']}"
        case "progress":
            return f"{data['phase']} {data['fraction']:.0%}"
        case _:
            return f"{event.type}: {data.get('message', '')}"
