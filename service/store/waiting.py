"""What is queued: whom to nudge for, how long it waits, and for what."""

from datetime import timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from service.store.claims import eligible
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


def waiting_for(session: Session, row: JobRow, alive_within_s: float) -> list[str]:
    """Why a queued job does not run: what it waits for, or what no worker alive has."""
    if row.status != "queued":
        return []
    on = session.execute(
        select(DependencyRow.on_id)
        .where(DependencyRow.job_id == row.id)
        .order_by(DependencyRow.on_id)
    ).scalars()
    reasons = list(on)
    since = now(session) - timedelta(seconds=alive_within_s)
    workers = (
        session.execute(select(WorkerRow).where(WorkerRow.seen_at >= since, ~WorkerRow.draining))
        .scalars()
        .all()
    )
    if not workers:
        return [*reasons, "a worker"]
    if any(_serves(worker, row) for worker in workers):
        return reasons
    if row.device == "cuda" and all(worker.device != "cuda" for worker in workers):
        return [*reasons, "a worker with a CUDA device"]
    have = set().union(*(worker.tokens for worker in workers))
    missing = sorted(set(row.requires) - have) or sorted(row.requires)
    return [*reasons, *(f"a worker with {token.replace(':', ' ', 1)}" for token in missing)]


def _serves(worker: WorkerRow, row: JobRow) -> bool:
    fits = row.device != "cuda" or worker.device == "cuda"
    return fits and set(row.requires) <= set(worker.tokens)
