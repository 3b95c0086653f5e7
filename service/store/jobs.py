"""Jobs: the store that everybody uses. It never commits; claims and finishes have own files."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session, undefer

from service.contract.ids import first_id
from service.contract.lifecycle import LEASED, MOVES, STATUSES, TERMINAL, JobStatus
from service.store import claims, finishing, waiting
from service.store import leases as held
from service.store.artifacts import ArtifactStore
from service.store.dependencies import break_, fail_dependent, refer
from service.store.errors import Conflict, InvalidMove, NotFound
from service.store.moves import add_events, locked, move
from service.store.session import now
from service.store.sql import contains, spelled_out
from service.store.tables import JobLabelRow, JobRow, ReferenceRow
from service.store.types import clean_text
from service.store.values import (
    ClaimedJob,
    ClaimingWorker,
    Clocks,
    JobFilter,
    JobProgress,
    Moved,
    NewArtifact,
    NewEvent,
    NewJob,
    Outcome,
    Point,
)

_CLOCKS_APART_S: Final = 86_400.0  # an id has the time of the process that made it


class JobStore:
    """The jobs of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, job: NewJob) -> JobRow:
        """Queue a job. It waits for those of its references that are not ready, and has failed
        already if one never will be. NotFound for one that the project has not."""
        session, moment = self._session, now(self._session)
        words = [job.name or "", *(f"{key}={value}" for key, value in job.labels.items())]
        row = JobRow(
            id=job.id,
            project=job.project,
            kind=job.kind,
            status="queued",
            name=None if job.name is None else clean_text(job.name),
            labels=dict(job.labels),
            search=clean_text(" ".join(words)).casefold(),
            spec=dict(job.spec),
            device=job.device,
            requires=list(job.requires),
            priority=job.priority,
            exclusive=job.exclusive,
            max_attempts=job.max_attempts,
            timeout_s=job.timeout_s,
            retry_of=job.retry_of,
            resume_from=job.resume_from,
            request_id=job.request_id,
            traceparent=job.traceparent,
            next_run_at=moment,
            created_at=moment,
            queued_at=moment,
            event_seq=1,
            result=None,  # known, and so not read from the database for the answer
        )
        session.add(row)
        session.flush()
        if job.labels:
            labels = [
                {"project": job.project, "key": key, "value": value, "job_id": job.id}
                for key, value in job.labels.items()
            ]
            session.execute(insert(JobLabelRow), labels)
        if job.resume_from is not None:
            self._copy_checkpoint(job, job.resume_from)
        broken = refer(session, job.id, job.project, job.references)
        add_events(session, row, [NewEvent("state", {"status": "queued"})], moment)
        if broken is not None:  # it ended between the caller's look and this transaction
            fail_dependent(session, job.id, broken, moment)
            session.refresh(row)
        return row

    def _copy_checkpoint(self, job: NewJob, artifact_id: str) -> None:
        # a copy, so that the job it came from can be deleted before this one starts
        found = ArtifactStore(self._session).hold(artifact_id, job.project)
        copy = NewArtifact(
            found.name, found.kind, found.media_type, found.sha256, found.bytes, found.step
        )
        finishing.insert_artifact(self._session, job.id, job.project, copy)

    def get(self, job_id: str, project: str | None = None) -> JobRow:
        """With its result. NotFound, also for another project's."""
        query = select(JobRow).where(JobRow.id == job_id).options(undefer(JobRow.result))
        row = self._session.execute(
            query.execution_options(populate_existing=True)
        ).scalar_one_or_none()
        if row is None or project not in (None, row.project):
            raise NotFound("job", job_id)
        return row

    def list(self, jobs: JobFilter, limit: int, after: str | None = None) -> list[JobRow]:
        """Newest first, without results; `after` is the last id of the page before."""
        query = select(JobRow).where(JobRow.project == jobs.project)
        if jobs.status is not None:
            query = query.where(JobRow.status == jobs.status)
        if jobs.kind is not None:
            query = query.where(JobRow.kind == jobs.kind)
        if jobs.created_after is not None:
            # the id's own time bounds how far back the index is read
            floor = first_id("job", jobs.created_after, -_CLOCKS_APART_S)
            query = query.where(JobRow.created_at > jobs.created_after, JobRow.id >= floor)
        if after is not None:
            query = query.where(JobRow.id < after)
        query = _matching(query, jobs)
        return list(self._session.execute(query.order_by(JobRow.id.desc()).limit(limit)).scalars())

    def counts(self, project: str | None = None) -> dict[JobStatus, int]:
        """Jobs by status, of one project or of all."""
        query = select(JobRow.status, func.count()).group_by(JobRow.status)
        if project is not None:
            query = query.where(JobRow.project == project)
        found = dict(self._session.execute(query).all())
        return {status: found.get(status, 0) for status in STATUSES}

    def counts_by_kind(self) -> dict[tuple[str, str], int]:
        """Jobs of all projects by (kind, status)."""
        rows = self._session.execute(
            select(JobRow.kind, JobRow.status, func.count()).group_by(JobRow.kind, JobRow.status)
        ).all()
        return {(kind, status): count for kind, status, count in rows}

    # What people ask for

    def request_cancel(self, job_id: str, project: str) -> JobRow:
        """At once where nobody works on it, else as soon as its worker hears of it."""
        row = self._lock(job_id, project)
        if row.status in ("cancelling", "cancelled"):
            return self.get(job_id)
        if row.status in ("queued", "paused"):
            self._move(row, "cancelled")
            break_(self._session, job_id, now(self._session))
        else:
            self._move(row, "cancelling")
        return self.get(job_id)

    def request_pause(self, job_id: str, project: str) -> JobRow:
        """At once if it is queued, else after a checkpoint."""
        row = self._lock(job_id, project)
        if row.status not in ("pausing", "paused"):
            self._move(row, "paused" if row.status == "queued" else "pausing")
        return self.get(job_id)

    def resume(self, job_id: str, project: str) -> JobRow:
        """Queue a paused job again; InvalidMove if it is not paused."""
        row = self._lock(job_id, project)
        if row.status != "paused":  # a running job may be queued again too, but not by request
            raise InvalidMove(job_id, row.status, "queued")
        self._move(row, "queued")
        return self.get(job_id)

    def delete(self, job_id: str, project: str) -> None:
        """Forget a job that is over, and all it left but models, which stand on their own.

        InvalidMove while it lives; Conflict while another job still waits for it or reads from it.
        """
        row = self._lock(job_id, project)
        if row.status not in TERMINAL:
            raise InvalidMove(job_id, row.status, "deleted")
        users = self.live_users_of(job_id)
        if users:
            raise Conflict(f"{job_id} is still needed by {users[0]}")
        self._session.execute(delete(JobRow).where(JobRow.id == job_id))

    def live_users_of(self, on_id: str) -> Sequence[str]:
        """Jobs that name a job, model or dataset and are not over."""
        return list(
            self._session.execute(
                select(JobRow.id)
                .join(ReferenceRow, ReferenceRow.job_id == JobRow.id)
                .where(ReferenceRow.on_id == on_id, JobRow.status.not_in(sorted(TERMINAL)))
                .order_by(JobRow.id)
            ).scalars()
        )

    # What workers and sweepers do: see claims.py and finishing.py

    def claim(
        self, worker: ClaimingWorker, lease_s: float, most_running: int | None = None
    ) -> ClaimedJob | None:
        """See `claims.claim`."""
        return claims.claim(self._session, worker, lease_s, most_running)

    def heartbeat(
        self, worker_id: str, leases: Sequence[tuple[str, int]], lease_s: float
    ) -> dict[str, JobStatus | None]:
        """See `leases.heartbeat`."""
        return held.heartbeat(self._session, worker_id, leases, lease_s)

    def lapsed(self, limit: int) -> Sequence[tuple[str, int]]:
        """See `claims.lapsed`."""
        return claims.lapsed(self._session, limit)

    def rescue(self, job_id: str, run: int) -> Moved | None:
        """Take a job from a lost worker; see `claims.rescue`. Fails its dependents if it fails."""
        moved = claims.rescue(self._session, job_id, run)
        if moved is not None and moved.status in ("failed", "cancelled"):
            break_(self._session, job_id, now(self._session))
        return moved

    def nudgeable(self, limit: int, older_than_s: float, *, needs_gpu: bool) -> Sequence[str]:
        """See `waiting.nudgeable`."""
        return waiting.nudgeable(self._session, limit, older_than_s, needs_gpu=needs_gpu)

    def oldest_queued_s(self, project: str | None = None) -> float | None:
        """See `waiting.oldest_queued_s`."""
        return waiting.oldest_queued_s(self._session, project)

    def queue_by_device(self) -> dict[str, tuple[int, float]]:
        """See `waiting.queue_by_device`."""
        return waiting.queue_by_device(self._session)

    def clocks(self, job_ids: Collection[str]) -> Sequence[Clocks]:
        """What those of the jobs that are still there took so far, the present wait or run not
        counted."""
        query = select(
            JobRow.id, JobRow.kind, JobRow.status, JobRow.queue_seconds, JobRow.run_seconds
        ).where(JobRow.id.in_(job_ids))
        return [Clocks(*row) for row in self._session.execute(query)]

    def waiting_for(
        self, rows: Iterable[JobRow], alive_within_s: float, most_running: int | None = None
    ) -> Mapping[str, Sequence[str]]:
        """See `waiting.waiting_for`."""
        return waiting.waiting_for(self._session, rows, alive_within_s, most_running)

    def terminal_event_seq(self, job_id: str) -> int | None:
        """See `claims.terminal_event_seq`."""
        return claims.terminal_event_seq(self._session, job_id)

    def leased(self) -> int:
        """How many jobs workers hold, over all projects."""
        query = select(func.count()).where(spelled_out(JobRow.status, LEASED))
        return self._session.execute(query).scalar_one()

    def held_by(self, worker_id: str, project: str | None = None) -> Sequence[str]:
        """The jobs that a worker holds, of one project or of all."""
        query = select(JobRow.id).where(
            JobRow.worker_id == worker_id, spelled_out(JobRow.status, LEASED)
        )
        if project is not None:
            query = query.where(JobRow.project == project)
        return list(self._session.execute(query.order_by(JobRow.id)).scalars())

    def status_of_run(self, job_id: str, run: int) -> JobStatus | None:
        """The job's status, if that run still has it."""
        query = select(JobRow.status).where(JobRow.id == job_id, JobRow.run == run)
        return self._session.execute(query).scalar_one_or_none()

    def record(
        self,
        job_id: str,
        run: int,
        *,
        progress: JobProgress | None = None,
        points: Sequence[Point] = (),
        events: Sequence[NewEvent] = (),
        log: bytes = b"",
        waited_s: float = 0.0,
    ) -> bool:
        """See `finishing.record`."""
        return finishing.record(
            self._session,
            job_id,
            run,
            progress=progress,
            points=points,
            events=events,
            log=log,
            waited_s=waited_s,
        )

    def add_checkpoint(self, job_id: str, run: int, artifact: NewArtifact) -> bool:
        """See `finishing.add_checkpoint`."""
        return finishing.add_checkpoint(self._session, job_id, run, artifact)

    def finish(self, job_id: str, run: int, outcome: Outcome) -> Moved | None:
        """See `finishing.finish`."""
        return finishing.finish(self._session, job_id, run, outcome)

    def _lock(self, job_id: str, project: str) -> JobRow:
        return locked(self._session, job_id, project)

    def _move(self, row: JobRow, target: JobStatus) -> None:
        source = row.status
        if target not in MOVES[source]:
            raise InvalidMove(row.id, source, target)
        moment = now(self._session)
        values: dict[str, Any] = {"next_run_at": moment} if target == "queued" else {}
        moved = move(self._session, row.id, target, {source}, moment, values=values)
        assert moved is not None, "the row is locked"


def _matching(query: Select[JobRow], jobs: JobFilter) -> Select[JobRow]:
    if jobs.label is not None:
        key, value = jobs.label
        labelled = select(JobLabelRow.job_id).where(  # a list, so that its index is where to start
            JobLabelRow.project == jobs.project,
            JobLabelRow.key == key,
            JobLabelRow.value == value,
        )
        query = query.where(JobRow.id.in_(labelled))
    if jobs.q is not None:
        query = query.where(JobRow.search.like(contains(jobs.q.casefold()), escape="\\"))
    return query
