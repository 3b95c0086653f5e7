"""Looks for jobs that nobody works on: lapsed leases, forgotten nudges, things past their time.

Three threads in every worker and in every API process, so that neither storage nor rows that do not
answer keep jobs from being rescued. Each step is a compare-and-set, so that any number of sweepers
do no more than one would.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from service.blobs import BlobError, BlobStore
from service.config import Settings
from service.errands import Errands
from service.queue import DEFAULT_QUEUE, GPU_QUEUE
from service.store.deliveries import DeliveryStore
from service.store.idempotency import IdempotencyStore
from service.store.jobs import JobStore
from service.store.session import Database, now
from service.store.uploads import UploadStore
from service.store.workers import WorkerStore

log = logging.getLogger(__name__)

_BATCH: Final = 100
_HOUSEKEEPING_S: Final = 60.0
_ABANDONED_S: Final = 86_400.0
_FORGET_WORKER_S: Final = 3600.0


class Sweep:
    """The threads. `nudge` must not block; see `service.relay`."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        nudge: Callable[[str, str], None],
        settings: Settings,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._nudge = nudge
        self._settings = settings
        self._errands = (
            Errands("rescue", lambda: self._once(self.rescue), pause_s=settings.sweep_s),
            Errands("remind", lambda: self._once(self.remind), pause_s=settings.sweep_s),
            Errands(
                "tidy",
                lambda: self._once(self.tidy),
                pause_s=_HOUSEKEEPING_S,
                waits_first=True,
                unavailable=(BlobError,),
            ),
        )

    def start(self) -> None:
        """Begin, with a first look at once."""
        for errands in self._errands:
            errands.start()

    def close(self) -> None:
        """Stop after the steps under way."""
        for errands in self._errands:
            errands.stopping.set()
        for errands in self._errands:
            errands.close()

    @staticmethod
    def _once(step: Callable[[], object]) -> bool:
        """False: the next look is after the pause."""
        step()
        return False

    def rescue(self) -> int:
        """Take jobs whose lease lapsed from their workers. Returns how many."""
        with self._database.read() as session:
            lapsed = JobStore(session).lapsed(_BATCH)
        for job_id, run in lapsed:
            with self._database.transaction() as session:
                moved = JobStore(session).rescue(job_id, run)
            if moved is not None:
                log.warning("job %s: its worker was not heard of; now %s", job_id, moved.status)
        return len(lapsed)

    def remind(self) -> int:
        """Nudge for eligible jobs that wait longer than a sweep while a slot is free.

        For each queue no more messages than slots are free, and none where no worker listens: a
        message only wakes a worker, a thousand jobs that wait for one busy worker need none, and
        jobs that wait for a GPU must not keep a message from those that do not.
        """
        with self._database.read() as session:
            alive = WorkerStore(session).alive(self._settings.lease_s)
            workers = [worker for worker in alive if not worker.draining]
            free = sum(worker.slots for worker in workers) - JobStore(session).leased()
            if free <= 0:
                return 0
            waiting = [
                (queue, job_id)
                for queue in (DEFAULT_QUEUE, GPU_QUEUE)
                if any(queue in worker.queues for worker in workers)
                for job_id in JobStore(session).nudgeable(
                    min(free, _BATCH), self._settings.sweep_s, needs_gpu=queue == GPU_QUEUE
                )
            ]
        for queue, job_id in waiting:
            self._nudge(queue, job_id)
        return len(waiting)

    def tidy(self) -> None:
        """Forget what has expired: idempotency keys, messages to webhooks, unfinished uploads,
        workers long gone."""
        with self._database.transaction() as session:
            moment = now(session)
            IdempotencyStore(session).purge()
            DeliveryStore(session).purge()
            WorkerStore(session).purge(moment - timedelta(seconds=_FORGET_WORKER_S))
            expired = UploadStore(session).expired(
                moment - timedelta(seconds=self._settings.upload_ttl_s)
            )
            for upload in expired:
                UploadStore(session).delete(upload.id)
        self._discard_parts()
        self._blobs.discard_abandoned(_ABANDONED_S)

    def _discard_parts(self) -> None:
        """By their age and not by the rows that expire: those may be another machine's to see."""
        before = time.time() - self._settings.upload_ttl_s
        for path in self._settings.uploads_dir.glob("upl_*"):
            with contextlib.suppress(FileNotFoundError):  # complete, or another sweep was quicker
                if path.stat().st_mtime < before:
                    path.unlink()
