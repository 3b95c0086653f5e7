"""Series of numbers, thinned out where they are kept: of a million, a few hundred are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store import stretches
from service.store.stretches import Extremes
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
        best value is lost. Of a long series stretches are only nearly of one length."""
        if max_points < 2:
            raise ValueError(f"max_points must be at least 2, got {max_points}")
        ends = self._ends(job_id, name, after)
        if ends is None:
            return Series(0, [])
        count = stretches.count_from(self._session, job_id, name, ends[0])
        step = MetricPointRow.step
        # one or the other: given both, SQLite reads the whole range
        chosen = step >= ends[0]
        if count > max_points:
            chosen = step.in_({*ends, *self._extremes(job_id, name, *ends, max_points)})
        query = select(step, MetricPointRow.value, MetricPointRow.at).where(
            MetricPointRow.job_id == job_id, MetricPointRow.name == name, chosen
        )
        rows = self._session.execute(query.order_by(step))
        return Series(count, [KeptPoint(*row) for row in rows])

    def points(
        self, job_id: str, name: str, max_points: int = DEFAULT_POINTS
    ) -> Sequence[KeptPoint]:
        """Those of `series`."""
        return self.series(job_id, name, max_points).points

    def _ends(self, job_id: str, name: str, after: int | None) -> tuple[int, int] | None:
        """The first and the last step, found without a look at those between them."""
        step = MetricPointRow.step
        wanted = [MetricPointRow.job_id == job_id, MetricPointRow.name == name]
        if after is not None:
            wanted.append(step > after)
        low, high = (select(f(step)).where(*wanted).scalar_subquery() for f in (func.min, func.max))
        first, last = self._session.execute(select(low, high)).one()
        return None if first is None else (first, last)

    def _extremes(
        self, job_id: str, name: str, first: int, last: int, max_points: int
    ) -> Iterator[int]:
        """The steps between `first` and `last` with the lowest and highest value of each of as
        many stretches as there is room for."""
        between, room = last - first - 1, (max_points - 2) // 2
        if not room:
            return
        lowest: dict[int, Extremes] = {}
        highest: dict[int, Extremes] = {}
        for each in self._summaries(job_id, name, first + 1, last, between // room):
            stretch = (each.start - first - 1) * room // between
            if stretch not in lowest or each.lowest < lowest[stretch].lowest:
                lowest[stretch] = each
            if stretch not in highest or each.highest > highest[stretch].highest:
                highest[stretch] = each
        yield from (each.lowest_step for each in lowest.values())
        yield from (each.highest_step for each in highest.values())

    def _summaries(
        self, job_id: str, name: str, start: int, end: int, length: int
    ) -> Iterator[Extremes]:
        """Of all points from step `start` to before `end`, in order: summed up as widely as a
        stretch of `length` steps allows, and at both ends point by point."""
        width = max((width for width in stretches.WIDTHS if width <= length), default=1)
        whole, rest = -(-start // width) * width, end // width * width
        if whole > rest:
            width, whole, rest = 1, start, end
        for each, low, high in ((1, start, whole), (width, whole, rest), (1, rest, end)):
            if low < high:
                yield from stretches.extremes(self._session, job_id, name, each, low, high)
