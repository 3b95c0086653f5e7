"""The extremes of stretches of a series, kept beside its points: of a million of these a chart is
drawn by reading a thousand of those.

Stretches are 32 and 1,024 steps wide and begin at multiples of that. The wide ones are summed up
from the narrow ones.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, bindparam, func, select, text
from sqlalchemy.orm import Session

from service.store.tables import MetricPointRow, MetricStretchRow

WIDTHS: Final = (32, 1024)
"""Narrowest first; each divides the next."""

_POINTS: Final = """
    SELECT name, step / :width * :width AS start, 1 AS count, value AS lowest,
        step AS lowest_step, value AS highest, step AS highest_step
    FROM metric_points
    WHERE job_id = :job AND name IN :names AND step >= :start AND step < :end
"""
_NARROWER: Final = """
    SELECT name, start / :width * :width AS start, count, lowest, lowest_step, highest,
        highest_step
    FROM metric_stretches
    WHERE job_id = :job AND name IN :names AND width = :finer AND start >= :start AND start < :end
"""
# Of points with the same value the first is named. SQLite takes ON CONFLICT only after a WHERE.
_SUM_UP: Final = """
    WITH parts AS (PARTS),
    ends AS (
        SELECT name, start, sum(count) AS count, min(lowest) AS lowest, max(highest) AS highest
        FROM parts GROUP BY name, start
    )
    INSERT INTO metric_stretches
        (job_id, name, width, start, count, lowest, lowest_step, highest, highest_step)
    SELECT :job, e.name, :width, e.start, e.count,
        e.lowest, min(CASE WHEN p.lowest = e.lowest THEN p.lowest_step END),
        e.highest, min(CASE WHEN p.highest = e.highest THEN p.highest_step END)
    FROM ends e JOIN parts p ON p.name = e.name AND p.start = e.start
    WHERE true
    GROUP BY e.name, e.start, e.count, e.lowest, e.highest
    ON CONFLICT (job_id, name, width, start) DO UPDATE SET
        count = excluded.count, lowest = excluded.lowest, lowest_step = excluded.lowest_step,
        highest = excluded.highest, highest_step = excluded.highest_step
"""


def _prepared(parts: str) -> TextClause:
    # as text: a run that reports every second has no time to put an expression together
    return text(_SUM_UP.replace("PARTS", parts)).bindparams(bindparam("names", expanding=True))


_FROM_POINTS: Final = _prepared(_POINTS)
_FROM_NARROWER: Final = _prepared(_NARROWER)


@dataclass(frozen=True, slots=True)
class Extremes:
    """Of the points from step `start` on: the first with the lowest value and with the highest."""

    start: int
    lowest: float
    lowest_step: int
    highest: float
    highest_step: int


def renew(session: Session, job_id: str, written: Collection[tuple[str, int]]) -> None:
    """Sum up again every stretch in which a point, (name, step), was written or replaced.

    In the transaction that wrote them, which holds the job's row: a job has one writer at a time.
    """
    for (low, high), names in _ranges(written).items():
        finer: dict[str, int] = {}
        for width in WIDTHS:
            start, end = low // width * width, (high // width + 1) * width
            session.execute(
                _FROM_NARROWER if finer else _FROM_POINTS,
                {"job": job_id, "names": names, "width": width, "start": start, "end": end} | finer,
            )
            finer = {"finer": width}


def extremes(
    session: Session, job_id: str, name: str, width: int, start: int, end: int
) -> Sequence[Extremes]:
    """Of the stretches that begin at `start` or later and before `end`, which are multiples of
    `width`. Width 1: the points themselves."""
    if width == 1:
        step = MetricPointRow.step
        points = select(step, MetricPointRow.value).where(
            MetricPointRow.job_id == job_id, MetricPointRow.name == name, step >= start, step < end
        )
        return [Extremes(at, v, at, v, at) for at, v in session.execute(points.order_by(step))]
    row = MetricStretchRow
    query = select(row.start, row.lowest, row.lowest_step, row.highest, row.highest_step).where(
        row.job_id == job_id, row.name == name, row.width == width, row.start >= start
    )
    found = session.execute(query.where(row.start < end).order_by(row.start))
    return [Extremes(*each) for each in found]


def count_from(session: Session, job_id: str, name: str, start: int) -> int:
    """How many points there are at step `start` and later."""
    width = WIDTHS[-1]
    whole = -(-start // width) * width
    point, row = MetricPointRow, MetricStretchRow
    before = select(func.count()).where(
        point.job_id == job_id, point.name == name, point.step >= start, point.step < whole
    )
    after = select(func.coalesce(func.sum(row.count), 0)).where(
        row.job_id == job_id, row.name == name, row.width == width, row.start >= whole
    )
    query = select(before.scalar_subquery() + after.scalar_subquery())
    return int(session.execute(query).scalar_one())  # Postgres sums up to a decimal


def _ranges(written: Collection[tuple[str, int]]) -> dict[tuple[int, int], list[str]]:
    """Names by their first and last step: most often all were written at the same steps."""
    ends: dict[str, tuple[int, int]] = {}
    for name, step in written:
        low, high = ends.get(name, (step, step))
        ends[name] = min(low, step), max(high, step)
    found: dict[tuple[int, int], list[str]] = {}
    for name, both in sorted(ends.items()):
        found.setdefault(both, []).append(name)
    return found
