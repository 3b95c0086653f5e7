"""Whose turn it is: the projects that have something queued, in the order in which they are served.

The cost grows with the number of such projects and not with that of their jobs: every step reads
one end of an index.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import CTE, ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import Session, aliased

from service.contract.lifecycle import LEASED
from service.store.sql import spelled_out
from service.store.tables import JobRow, ProjectLimitsRow

Fitting = Callable[[type[JobRow]], ColumnElement[bool]]
"""The condition that a row of the table, or of an alias of it, is a job for a certain worker."""

_MOST: Final = 100  # projects that are tried in one claim


@dataclass(frozen=True, slots=True)
class Turn:
    """A project that has a job for the worker, and how many it may run at once."""

    project: str
    most_running: int | None


def turns(session: Session, fitting: Fitting, most_running: int | None = None) -> list[Turn]:
    """Projects with a job that is `fitting`, the one to be served first in front: that with the
    fewest running jobs, then the one whose last job started longest ago. Those at their limit,
    which is `most_running` unless they have their own, are left out."""
    queued = _with_queued_jobs()
    project = queued.c.project
    found = (
        select(
            project,
            _best(project, fitting).label("head"),
            _running(project).label("running"),
            _served_at(project).label("served_at"),
            func.coalesce(_own_limit(project), most_running).label("most"),
        )
        .where(project.is_not(None))
        .subquery()
        .c
    )
    rows = session.execute(
        select(found.project, found.most)
        .where(found.head.is_not(None), found.most.is_(None) | (found.running < found.most))
        .order_by(found.running, found.served_at.asc().nulls_first(), found.head)
        .limit(_MOST)
    ).all()
    return [Turn(name, most) for name, most in rows]


def highest_priority(project: ColumnElement[str], fitting: Fitting) -> ScalarSelect[int]:
    """Of the project's jobs. With it the best of them is found at the end of an index, which has
    both priority and age in one direction."""
    job = aliased(JobRow)
    return (
        select(job.priority)
        .where(job.project == project, fitting(job))
        .order_by(job.priority.desc())
        .limit(1)
        .correlate_except(job)
        .scalar_subquery()
    )


def _with_queued_jobs() -> CTE:
    """The projects by name, and NULL at the end: each found by one look into an index."""
    first, after = aliased(JobRow), aliased(JobRow)
    queued = select(func.min(first.project).label("project")).where(
        spelled_out(first.status, {"queued"})
    )
    names = queued.cte("projects", recursive=True)
    following = (
        select(func.min(after.project))
        .where(spelled_out(after.status, {"queued"}), after.project > names.c.project)
        .scalar_subquery()
    )
    return names.union_all(select(following).where(names.c.project.is_not(None)))


def _best(project: ColumnElement[str], fitting: Fitting) -> ScalarSelect[str]:
    job = aliased(JobRow)
    return (
        select(job.id)
        .where(
            job.project == project,
            job.priority == highest_priority(project, fitting),
            fitting(job),
        )
        .order_by(job.id)
        .limit(1)
        .scalar_subquery()
    )


def _running(project: ColumnElement[str]) -> ScalarSelect[int]:
    job = aliased(JobRow)
    return (
        select(func.count())
        .select_from(job)
        .where(job.project == project, spelled_out(job.status, LEASED))
        .scalar_subquery()
    )


def _served_at(project: ColumnElement[str]) -> ScalarSelect[datetime | None]:
    job = aliased(JobRow)
    return select(func.max(job.started_at)).where(job.project == project).scalar_subquery()


def _own_limit(project: ColumnElement[str]) -> ScalarSelect[int | None]:
    return (
        select(ProjectLimitsRow.running_jobs)
        .where(ProjectLimitsRow.project == project)
        .scalar_subquery()
    )
