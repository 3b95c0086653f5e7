"""Hostile files, each of which leaves a mark if anything in it runs.

The mark is a file of the payload's own name; what a command would do is touch it.
"""

from collections.abc import Iterator
from dataclasses import replace

from tests.faults.case import Case, model
from tests.faults.marks import Marks
from tests.faults.payloads_of_data import arrays, pictures, tables
from tests.faults.payloads_of_models import exported, folders, graphs, names, programs
from tests.faults.pickles import other_payloads, torch_payloads


def payloads(marks: Marks) -> Iterator[Case]:
    """All, each with a mark of its own."""
    for name, data in (*torch_payloads(marks.command), *other_payloads(marks.command)):
        yield model(f"payload: {name}", data)
    for found in (programs, exported, folders, names, graphs, arrays, tables, pictures):
        yield from (replace(case, name=f"payload: {case.name}") for case in found(marks))
