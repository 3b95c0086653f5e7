"""Tables and facts, laid out for a terminal's width; whole in a pipe."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli.console import out, plain

_GAP: Final = 2
_LEAST: Final = 8  # a column that is narrower than that tells nothing
_NUMBER: Final = re.compile(r"[−-]?[\d,.]+(?![\d-]).*")
_STYLES: Final = {
    "succeeded": "green",
    "ready": "green",
    "active": "green",
    "running": "cyan",
    "checking": "cyan",
    "failed": "red",
    "rejected": "red",
    "disabled": "red",
    "lost": "red",
    "cancelled": "dim",
}


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    spare: Sequence[str] = (),
    empty: str = "",
) -> None:
    """Print a table, a line for each row. Columns of numbers stand to the right.

    Where a terminal has no room, the columns in `spare` are left out, the first of them first, and
    then the longest is cut; what goes into a pipe is whole. `empty` is said, on standard error, in
    the place of a table without rows.
    """
    cells = [tuple(map(plain, row)) for row in rows]
    if not cells and empty:
        Console(stderr=True, highlight=False).print(empty, markup=False)
        return
    console = out()
    room = console.width if console.is_terminal else None
    widths = _widths(columns, cells)
    shown = _fitting(columns, widths, spare, room)
    _cut(widths, shown, room)
    right = {index for index in shown if _is_numeric(cells, index)}
    if title:
        console.print(title, style="bold", markup=False)
    for number, row in enumerate((columns, *cells)):
        line = Text()
        for index in shown:
            style = _STYLES.get(row[index], "") if number else "bold"
            line.append(_cell(row[index], widths[index], index in right), style)
            line.append(" " * _GAP)
        line.rstrip()
        console.print(line, soft_wrap=True)
    left_out = [name for index, name in enumerate(columns) if index not in shown]
    if left_out:
        console.print(f"Not shown for want of room: {', '.join(left_out)}.", style="dim")


def show_facts(facts: Mapping[str, str]) -> None:
    """Print names and what they are, without those that are empty. A terminal folds long texts."""
    given = {name: plain(text) for name, text in facts.items() if text}
    console = out()
    if not console.is_terminal:
        wide = max(map(cell_len, given), default=0)
        for name, text in given.items():
            lines = text.replace("\n", f"\n{' ' * (wide + _GAP)}")
            console.print(f"{set_cell_size(name, wide)}  {lines}", markup=False)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text in given.items():
        table.add_row(name, Text(text, style=_STYLES.get(text, "")))
    console.print(table)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([cell_len(heading), *(cell_len(row[index]) for row in rows)])
        for index, heading in enumerate(columns)
    ]


def _is_numeric(rows: Sequence[Sequence[str]], index: int) -> bool:
    return bool(rows) and all(_NUMBER.fullmatch(row[index]) for row in rows if row[index])


def _fitting(
    columns: Sequence[str], widths: Sequence[int], spare: Sequence[str], room: int | None
) -> list[int]:
    """The columns to show: without as many of `spare` as it takes, given that the longest one but
    the first may be cut to its half."""
    shown = list(range(len(columns)))
    for name in spare:
        longest = max((widths[index] for index in shown[1:]), default=0)
        may_go = max(0, longest - max(_LEAST, longest // 2))
        if room is None or _whole(widths, shown) - may_go <= room:
            break
        shown.remove(columns.index(name))
    return shown


def _cut(widths: list[int], shown: Sequence[int], room: int | None) -> None:
    """Make the longest columns but the first narrower, until all of them fit."""
    while room is not None and (over := _whole(widths, shown) - room) > 0:
        longest = max(shown[1:], key=lambda index: widths[index], default=0)
        if widths[longest] <= _LEAST or longest == 0:
            return
        widths[longest] = max(_LEAST, widths[longest] - over)


def _whole(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[index] for index in shown) + _GAP * (len(shown) - 1)


def _cell(text: str, width: int, right: bool) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding
