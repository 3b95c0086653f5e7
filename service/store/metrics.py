"""Series of numbers, thinned out where they are kept: of a million, a few hundred are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, cast, func, or_, select
from sqlalchemy.orm import Session

from service.store.tables import MetricPointRow

DEFAULT_POINTS: Final = 1000


@dataclass(frozen=True, slots=True)
class KeptPoint:
    """A value of a series, and when it was recorded."""

    step: int
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """How many points there are, and some of them in order of steps."""

    count: int
    points: Sequence[KeptPoint]


class MetricStore:
    """The metric points of jobs, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def names(self, job_id: str) -> Sequence[str]:
        """The series of a job, by name. Reads one row of each, however long they are."""
        of_job, name = MetricPointRow.job_id == job_id, MetricPointRow.name
        found = select(func.min(name).label("name")).where(of_job).cte("found", recursive=True)
        following = select(func.min(name)).where(of_job, name > found.c.name).scalar_subquery()
        found = found.union_all(select(following).where(found.c.name.is_not(None)))
        query = select(found.c.name).where(found.c.name.is_not(None))
        return list(self._session.execute(query).scalars())

    def series(
        self,
        job_id: str,
        name: str,
        max_points: int = DEFAULT_POINTS,
        after: int | None = None,
    ) -> Series:
        """At most `max_points` (2 at least) of those whose step is above `after`: the first, the
        last, and of each stretch of steps between them the lowest and the highest, so that no
        best value is lost."""
        if max_points < 2:
            raise ValueError(f"max_points must be at least 2, got {max_points}")
        wanted = [MetricPointRow.job_id == job_id, MetricPointRow.name == name]
        if after is not None:
            wanted.append(MetricPointRow.step > after)
        step = MetricPointRow.step
        count, first, last = self._session.execute(
            select(func.count(), func.min(step), func.max(step)).where(*wanted)
        ).one()
        if count > max_points:
            stretches = (max_points - 2) // 2
            kept = self._extremes(wanted, first, last, stretches) if stretches else []
            wanted.append(step.in_([first, *kept, last]))
        rows = self._session.execute(
            select(step, MetricPointRow.value, MetricPointRow.at).where(*wanted).order_by(step)
        )
        return Series(count, [KeptPoint(*row) for row in rows])

    def points(
        self, job_id: str, name: str, max_points: int = DEFAULT_POINTS
    ) -> Sequence[KeptPoint]:
        """Those of `series`."""
        return self.series(job_id, name, max_points).points

    def _extremes(
        self, wanted: Sequence[ColumnElement[bool]], first: int, last: int, stretches: int
    ) -> Sequence[int]:
        """The steps between `first` and `last` with the lowest and highest value of a stretch."""
        step: Any = cast(MetricPointRow.step, BigInteger)  # the product outgrows 32 bits
        inner = select(
            MetricPointRow.step,
            MetricPointRow.value,
            ((step - first - 1) * stretches // (last - first - 1)).label("stretch"),
        ).where(*wanted, MetricPointRow.step > first, MetricPointRow.step < last)
        points, again = inner.subquery("points"), inner.subquery("again")
        ends = (
            select(
                again.c.stretch,
                func.min(again.c.value).label("lowest"),
                func.max(again.c.value).label("highest"),
            )
            .group_by(again.c.stretch)
            .cte("ends")
            .prefix_with("MATERIALIZED")
        )
        query = (
            select(func.min(points.c.step))
            .join(ends, points.c.stretch == ends.c.stretch)
            .where(or_(points.c.value == ends.c.lowest, points.c.value == ends.c.highest))
            .group_by(points.c.stretch, points.c.value)
        )
        return list(self._session.execute(query).scalars())
