"""What commands print: JSON for programs, bars of bytes, errors; tables are in tables.py."""

import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from service.reports import show

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done · 1 the job failed, or the service said no · 2 wrong usage · "
    "3 the service cannot be reached · 130 stopped by Ctrl-C (a service that `up` runs: 0)."
)


def out() -> Console:
    """Standard output, as it is now. Lines of a pipe are not folded."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        "Error:", plain(message), style="red", markup=False
    )


def plain(text: str) -> str:
    """Text of somebody else's, harmless to a terminal: no escape sequences."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def show_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print one value, or several as an array."""
    if isinstance(value, BaseModel):
        typer.echo(value.model_dump_json(indent=2))
    else:
        typer.echo(
            TypeAdapter(list[BaseModel])
            .dump_json(list(value), indent=2, serialize_as_any=True)
            .decode()
        )


@contextmanager
def transfer(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of bytes on standard error while it is entered; nothing where nobody watches."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(plain(title), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_file(path: Path, open_it: bool) -> None:
    """Say where it is, and start a browser on it if asked to."""
    out().print(str(path), markup=False)
    if open_it and not webbrowser.open(path.resolve().as_uri()):
        complain(f"no browser could be started; open {path.resolve()} yourself")


def age(moment: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if moment is None:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def size(count: int | None) -> str:
    """Bytes in decimal multiples; nothing where they are not known."""
    return "" if count is None else show.size(count)
