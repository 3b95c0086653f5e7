"""Tables: a line for each row, whatever the width."""

import pytest
from rich.console import Console

from service.cli import tables
from service.cli.tables import show_facts, show_table

COLUMNS = ("Job", "Kind", "Name", "Size")
ROW = ("job_01M8HVMYBDDPJDHY042ZCY5M93", "train", "a teacher of handwritten digits", "5")


def shown(monkeypatch: pytest.MonkeyPatch, width: int, *, terminal: bool = True) -> list[str]:
    console = Console(
        width=width,
        force_terminal=terminal,
        no_color=True,
        highlight=False,
        record=True,
        soft_wrap=not terminal,
    )
    monkeypatch.setattr(tables, "out", lambda: console)
    show_table(COLUMNS, [ROW, ROW], spare=("Kind",))
    return console.export_text().splitlines()


def test_what_has_room_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    heading, first, second = shown(monkeypatch, 100)
    assert heading.split() == list(COLUMNS)
    assert first == second == "  ".join(ROW[:3]) + "     5"


def test_the_longest_column_is_cut_and_the_id_never(monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, _ = shown(monkeypatch, 64)
    assert first == f"{ROW[0]}  train  a teacher of handw…     5"
    assert len(first) <= 64


def test_a_spare_column_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    heading, first, _, note = shown(monkeypatch, 54)
    assert heading.split() == ["Job", "Name", "Size"]
    assert first.startswith(f"{ROW[0]}  a teacher of")
    assert len(first) <= 54
    assert note == "Not shown for want of room: Kind."


def test_a_pipe_gets_everything_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, _ = shown(monkeypatch, 20, terminal=False)
    assert first == "  ".join(ROW[:3]) + "     5"


def test_names_reach_no_terminal_as_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show_table(("Name",), [("\x1b[31mred[bold]",)])
    show_facts({"Name": "\x1b]0;title\x07"})
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[31mred[bold]" in said


def test_nothing_is_said_in_words_and_not_to_the_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("Name",), [], empty="Nothing yet.")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Nothing yet.\n")
