"""Series of numbers, thinned out where they are read."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.tables import MetricPointRow

DEFAULT_POINTS: Final = 1000


class MetricStore:
    """The metric points of jobs, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def names(self, job_id: str) -> dict[str, int]:
        """The series of a job, each with its number of points."""
        rows = self._session.execute(
            select(MetricPointRow.name, func.count())
            .where(MetricPointRow.job_id == job_id)
            .group_by(MetricPointRow.name)
            .order_by(MetricPointRow.name)
        )
        return dict(rows.all())

    def points(
        self, job_id: str, name: str, max_points: int = DEFAULT_POINTS
    ) -> Sequence[MetricPointRow]:
        """At most `max_points` (2 at least) in order of steps: the first, the last, and of each
        stretch between them the lowest and the highest, so that no best value is lost."""
        query = (
            select(MetricPointRow)
            .where(MetricPointRow.job_id == job_id, MetricPointRow.name == name)
            .order_by(MetricPointRow.step)
        )
        return thin_out(self._session.scalars(query).all(), max_points)


def thin_out(points: Sequence[MetricPointRow], max_points: int) -> Sequence[MetricPointRow]:
    """See `MetricStore.points`."""
    if max_points < 2:
        raise ValueError(f"max_points must be at least 2, got {max_points}")
    if len(points) <= max_points:
        return points
    inner = points[1:-1]
    stretches = max(1, (max_points - 2) // 2)
    kept = {points[0].step: points[0], points[-1].step: points[-1]}
    for index in range(stretches if max_points >= 4 else 0):
        part = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        if part:
            for extreme in (min, max):
                point = extreme(part, key=lambda row: row.value)
                kept[point.step] = point
    return [kept[step] for step in sorted(kept)]
