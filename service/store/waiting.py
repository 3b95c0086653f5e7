"""What is queued: whom to nudge for, how long it waits, and for what."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from service.store.claims import eligible
from service.store.limits import Limits, LimitStore, running_jobs
from service.store.session import now
from service.store.tables import DependencyRow, JobRow, WorkerRow


def nudgeable(session: Session, limit: int, older_than_s: float, *, needs_gpu: bool) -> list[str]:
    """Eligible jobs that wait longer than that, best first: those that need a GPU, or the rest."""
    before = now(session) - timedelta(seconds=older_than_s)
    device = JobRow.device == "cuda" if needs_gpu else JobRow.device != "cuda"
    return list(
        session.scalars(
            select(JobRow.id)
            .where(eligible(session), JobRow.queued_at <= before, device)
            .order_by(JobRow.priority.desc(), JobRow.id)
            .limit(limit)
        )
    )


def oldest_queued_s(session: Session, project: str | None) -> float | None:
    """Age of the oldest eligible job, of one project or of all."""
    query = select(func.min(JobRow.queued_at)).where(eligible(session))
    if project is not None:
        query = query.where(JobRow.project == project)
    oldest = session.execute(query).scalar_one()
    return None if oldest is None else max(0.0, (now(session) - oldest).total_seconds())


def queue_by_device(session: Session) -> dict[str, tuple[int, float]]:
    """Eligible jobs of all projects, and the age of the oldest: of those that need a GPU (`cuda`)
    and of those that any worker may run (`any`)."""
    needs = case((JobRow.device == "cuda", "cuda"), else_="any")
    rows = session.execute(
        select(needs, func.count(), func.min(JobRow.queued_at))
        .where(eligible(session))
        .group_by(needs)
    ).all()
    moment = now(session)
    found = {
        device: (count, max(0.0, (moment - oldest).total_seconds()))
        for device, count, oldest in rows
    }
    return {"any": (0, 0.0), "cuda": (0, 0.0)} | found


@dataclass(frozen=True, slots=True)
class _Alive:
    """What a worker that takes jobs can do."""

    device: str
    tokens: frozenset[str]

    def serves(self, row: JobRow) -> bool:
        fits = row.device != "cuda" or self.device == "cuda"
        return fits and self.tokens.issuperset(row.requires)


def waiting_for(
    session: Session,
    rows: Iterable[JobRow],
    alive_within_s: float,
    most_running: int | None = None,
) -> dict[str, list[str]]:
    """Why those of the jobs that are queued do not run, by id: what they wait for, what no worker
    alive has, or that the project runs as many as it may, which is `most_running` unless it has a
    limit of its own."""
    queued = [row for row in rows if row.status == "queued"]
    if not queued:
        return {}
    on = _depend_on(session, [row.id for row in queued])
    workers = _alive(session, alive_within_s)
    full = {
        project: _no_place(session, project, most_running)
        for project in {row.project for row in queued}
    }
    return {
        row.id: [*on.get(row.id, ()), *_not_had(row, workers), *full[row.project]] for row in queued
    }


def _depend_on(session: Session, job_ids: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = select(DependencyRow.job_id, DependencyRow.on_id)
    for job_id, on_id in session.execute(
        query.where(DependencyRow.job_id.in_(job_ids)).order_by(DependencyRow.on_id)
    ):
        found.setdefault(job_id, []).append(on_id)
    return found


def _alive(session: Session, within_s: float) -> list[_Alive]:
    since = now(session) - timedelta(seconds=within_s)
    query = select(WorkerRow.device, WorkerRow.tokens)
    rows = session.execute(query.where(WorkerRow.seen_at >= since, ~WorkerRow.draining))
    return [_Alive(device, frozenset(tokens)) for device, tokens in rows]


def _not_had(row: JobRow, workers: Collection[_Alive]) -> list[str]:
    if not workers:
        return ["a worker"]
    if any(worker.serves(row) for worker in workers):
        return []
    if row.device == "cuda" and all(worker.device != "cuda" for worker in workers):
        return ["a worker with a CUDA device"]
    have = frozenset[str]().union(*(worker.tokens for worker in workers))
    missing = sorted(set(row.requires) - have) or sorted(row.requires)
    return [f"a worker with {token.replace(':', ' ', 1)}" for token in missing]


def _no_place(session: Session, project: str, most_running: int | None) -> list[str]:
    most = LimitStore(session).own(project).over(Limits(running_jobs=most_running)).running_jobs
    if most is None or (running := running_jobs(session, project)) < most:
        return []
    return [f"a place among the project's running jobs: {running} used, {most} allowed"]
