"""Targets as reports show them: each promise and what was reached, with its unit."""

from collections.abc import Sequence
from typing import Final

from service.contract.prune_result import TargetResult
from service.contract.reports import Cell, Column, Format, Quantity, Table
from service.reports import show
from service.reports.body import table

_FORMS: Final[dict[str, tuple[Format, str | None]]] = {
    "macs": ("percent", None),
    "parameters": ("percent", None),
    "size_bytes": ("bytes", None),
    "latency_ms": ("milliseconds", "ms"),
    "min_speedup": ("ratio", None),
    "max_accuracy_drop_points": ("number", "points"),
}
_MEANS: Final = {
    "macs": "share of MACs left",
    "parameters": "share of parameters left that are not zero",
    "size_bytes": "bytes of the smaller weights file",
    "latency_ms": "median at the target's batch size",
    "min_speedup": "times faster at the target's batch size",
    "max_accuracy_drop_points": "validation accuracy lost",
}
_ROUNDING: Final = 1e-9  # a share or a difference that is a promise to the last bit keeps it


def figure(name: str, value: float) -> Quantity:
    """A value of a target in its own format and unit."""
    form, unit = _FORMS[name]
    return Quantity(value=value, format=form, unit=unit)


def worded(name: str, value: float) -> str:
    """The same as text."""
    return show.cell(figure(name, value), "text")


def bound(name: str) -> str:
    """Whether a target is at least or at most what it says."""
    return "≥" if name == "min_speedup" else "≤"


def missed_by(name: str, asked: float, reached: float) -> float | None:
    """How far a promise was missed, in its own terms; None if it was kept, rounding apart."""
    beyond = asked - reached if name == "min_speedup" else reached - asked
    return beyond if beyond > _ROUNDING * max(1.0, abs(asked)) else None


def targets_table(targets: Sequence[TargetResult]) -> Table:
    """What a job promised, what was reached, and whether that keeps it."""
    rows: list[dict[str, Cell]] = [
        {
            "name": one.name,
            "means": _MEANS[one.name],
            "asked": f"{bound(one.name)} {worded(one.name, one.asked)}",
            "reached": figure(one.name, one.reached),
            "verdict": "met" if missed_by(one.name, one.asked, one.reached) is None else "missed",
        }
        for one in targets
    ]
    columns = (
        Column(key="name", title="Target"),
        Column(key="means", title="What it promises"),
        Column(key="asked", title="Asked for"),
        Column(key="reached", title="Reached", format="number"),
        Column(key="verdict", title="Verdict"),
    )
    return table("targets", "Promises", columns, rows)
