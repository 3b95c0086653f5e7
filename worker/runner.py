"""The life of one job: claim, prepare, start the child, relay what it says, finish."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from service.blobs import BlobError, BlobStore, StorageFull
from service.blobs.errors import disk_errors
from service.config import Settings
from service.contract.job_errors import JobError
from service.queue import queue_of
from service.store.errors import DatabaseUnavailable
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.values import (
    Cancelled,
    ClaimedJob,
    ClaimingWorker,
    Failed,
    Moved,
    Outcome,
    Paused,
    Released,
)
from service.tracing import NO_TRACER, Span, Tracer, Value
from worker.conversation import Conversation, Ended
from worker.drain import Drain
from worker.engine_host import EngineHost
from worker.leases import Heartbeat, Lease
from worker.outcome import outcome_of
from worker.phases import Phases
from worker.prepare import InputMissing, prepare
from worker.products import store_product
from worker.server_process import EngineHostError

log = logging.getLogger(__name__)

_FINISH_RETRY_S = 1.0


@dataclass(frozen=True)
class Runner:
    """What runs jobs: shared by all slots of a worker."""

    settings: Settings
    database: Database
    blobs: BlobStore
    host: EngineHost
    heartbeat: Heartbeat
    worker: ClaimingWorker
    nudge: Callable[[str, str], None]
    draining: Drain
    tracer: Tracer = NO_TRACER
    claiming: threading.Lock = field(default_factory=threading.Lock)

    def run_one(self) -> bool:
        """Claim and run the best job. False: there is none for this worker, or it drains."""
        if self.draining.is_set():
            return False
        # one slot after the other, so that each knows what the others hold
        with self.claiming, self.database.transaction() as session:
            most = self.settings.max_running_jobs
            job = JobStore(session).claim(self.worker, self.settings.lease_s, most)
        if job is not None:
            self._run(job)
        return job is not None

    def _run(self, job: ClaimedJob) -> None:
        """Run a claimed job to an outcome, and write it unless the claim was lost meanwhile."""
        lease = self.heartbeat.hold(job.id, job.run)
        folder = self.settings.scratch_dir / f"{job.id}-{job.run}"
        named = {"job": job.id, "run": job.run, "request_id": job.request_id}
        try:
            with (
                structlog.contextvars.bound_contextvars(**named),
                self.tracer.span(
                    f"run {job.kind}",
                    kind="consumer",
                    parent=job.traceparent,
                    attributes=_attributes(job),
                ) as span,
            ):
                log.info("job %s: attempt %d of %d", job.id, job.attempt, job.max_attempts)
                self._finish(job, lease, self._outcome(job, lease, folder, span), span)
        finally:
            self.heartbeat.release(lease)
            shutil.rmtree(folder, ignore_errors=True)

    def _outcome(self, job: ClaimedJob, lease: Lease, folder: Path, span: Span) -> Outcome | None:
        """None: the claim was lost; nothing may be written."""
        inner = Phases(self.tracer, span.traceparent)
        try:
            inner.begin("prepare")
            with disk_errors():  # also of the folder, which may lie on another disk than blobs
                order = prepare(job, folder, self.database, self.blobs)
            inner.begin("start child")
            ended = self._converse(job, lease, folder, inner)
            inner.begin("store")
            return outcome_of(ended, lambda: store_product(order, folder, self.blobs))
        except InputMissing as error:
            return Failed(JobError.of("dependency_failed", str(error)))
        except StorageFull as error:
            return Failed(JobError.of("disk_full", str(error)))
        except BlobError as error:
            return Failed(JobError.of("storage_unavailable", str(error)), retry=True)
        except EngineHostError as error:
            return Failed(JobError.of("engine_crashed", str(error)), retry=True)
        except DatabaseUnavailable:
            return Released()  # nothing was lost but time
        except Exception as error:  # untold, it would look as if the worker had been lost
            log.exception("job %s", job.id)
            what = f"{type(error).__name__} on the worker"
            return Failed(JobError.of("internal", what), retry=isinstance(error, OSError))
        finally:
            inner.end()

    def _converse(self, job: ClaimedJob, lease: Lease, folder: Path, phases: Phases) -> Ended:
        limit_s = min(job.timeout_s or self.settings.job_timeout_s, self.settings.job_timeout_s)
        with self.host.spawn(
            folder,
            "job",
            log_path=folder / "log",
            memory_limit_bytes=self.settings.memory_limit_bytes,
            deadline_s=max(limit_s - job.run_seconds, 1.0),
        ) as child:
            return Conversation(
                job=job,
                lease=lease,
                child=child,
                folder=folder,
                database=self.database,
                blobs=self.blobs,
                draining=self.draining,
                phases=phases,
            ).follow()

    def _finish(self, job: ClaimedJob, lease: Lease, outcome: Outcome | None, span: Span) -> None:
        """Write the outcome; a database that is away is waited for while the claim may be ours."""
        if outcome is None:
            log.warning("job %s: run %d was fenced out", job.id, job.run)
            return
        while not lease.lost.is_set():
            try:
                moved = self._write(job, outcome)
                break
            except DatabaseUnavailable as error:
                log.warning("job %s: cannot write its outcome yet (%s)", job.id, error)
                if self.draining.is_over():
                    return  # the lease lapses, and another worker runs it again
                time.sleep(_FINISH_RETRY_S)
        else:
            return
        if moved is None:
            log.warning("job %s: run %d was fenced out", job.id, job.run)
            return
        log.info("job %s: %s", job.id, moved.status)
        span.set("modelpress.status", moved.status)
        if isinstance(outcome, Failed):
            span.fail(outcome.error.code)
        for unblocked in moved.unblocked:
            self.nudge_row(unblocked)
        if moved.status == "queued" and self.draining.is_set():
            self.nudge_row(job.id)

    def _write(self, job: ClaimedJob, outcome: Outcome) -> Moved | None:
        with self.database.transaction() as session:
            jobs = JobStore(session)
            moved = jobs.finish(job.id, job.run, outcome)
            if moved is None and not isinstance(outcome, Cancelled):
                # A pause or cancel came between the child's end and this line.
                moved = self._yield_to_request(jobs, job, outcome)
            return moved

    def _yield_to_request(self, jobs: JobStore, job: ClaimedJob, outcome: Outcome) -> Moved | None:
        status = jobs.status_of_run(job.id, job.run)
        if status == "cancelling":
            return jobs.finish(job.id, job.run, Cancelled())
        if status == "pausing" and isinstance(outcome, Released):
            return jobs.finish(job.id, job.run, Paused())
        return None

    def nudge_row(self, job_id: str) -> None:
        """Wake a worker for a job, on the queue of the device that it asks for."""
        with self.database.read() as session:
            device = JobStore(session).get(job_id).device
        self.nudge(queue_of(device), job_id)


def _attributes(job: ClaimedJob) -> dict[str, Value]:
    named: dict[str, Value] = {
        "modelpress.job_id": job.id,
        "modelpress.kind": job.kind,
        "modelpress.project": job.project,
        "modelpress.run": job.run,
        "modelpress.attempt": job.attempt,
    }
    return named if job.request_id is None else {**named, "modelpress.request_id": job.request_id}
