"""Which models keep the targets, and what the tables of a comparison share."""

from collections.abc import Iterable, Sequence
from typing import Final

from service.contract.comparisons import ComparisonDevice, ComparisonValues, TargetVerdict
from service.contract.reports import Cell, Column, Table
from service.reports import show
from service.reports.body import table
from service.reports.promises import bound, figure, worded

NOT_MEASURED: Final = "not measured"
NAME: Final = Column(key="name", title="Model")
OUTCOMES: Final = {"met": "met", "missed": "missed", "not_measured": NOT_MEASURED}


def device_title(device: ComparisonDevice) -> str:
    """A device in words."""
    threads = "1 thread" if device.threads == 1 else f"{device.threads} threads"
    return f"{device.name}, {threads}"


def measured(
    ident: str, title: str, columns: Sequence[Column], rows: Iterable[dict[str, Cell]]
) -> Table:
    """A table whose nulls are what nobody has measured."""
    made = table(ident, title, columns, rows)
    return made.model_copy(update={"missing": NOT_MEASURED})


def targets_table(values: ComparisonValues) -> Table:
    """Every promise of every model, and what was reached."""
    columns = (
        NAME,
        Column(key="target", title="Target"),
        Column(key="device", title="Where"),
        Column(key="asked", title="Asked for"),
        Column(key="reached", title="Reached"),
        Column(key="missed_by", title="Missed by"),
        Column(key="outcome", title="Verdict"),
    )
    rows: list[dict[str, Cell]] = [
        _target_row(values, model.name, one)
        for model in values.models
        if model.verdict is not None
        for one in model.verdict.targets
    ]
    return measured("targets", "Targets", columns, rows)


def _target_row(values: ComparisonValues, name: str, one: TargetVerdict) -> dict[str, Cell]:
    assert values.request.targets is not None
    titles = {device.key: device_title(device) for device in values.devices}
    where = [titles[one.device]] if one.device else []
    where += [one.runtime] if one.runtime else []
    at = f", batch {values.request.targets.batch_size}"
    asked = f"{bound(one.name)} {worded(one.name, one.asked)}"
    return {
        "name": name,
        "target": one.name,
        "device": ", ".join(where) or show.MISSING,
        "asked": asked + (at if one.name in ("latency_ms", "min_speedup") else ""),
        "reached": None if one.reached is None else figure(one.name, one.reached),
        "missed_by": show.MISSING if one.missed_by is None else figure(one.name, one.missed_by),
        "outcome": OUTCOMES[one.outcome],
    }
