"""Signs of life: one thread renews every lease of this worker and reads what it is asked to do."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.contract.system import GpuMemory
from service.store.errors import DatabaseUnavailable
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.values import NewWorker
from service.store.workers import WorkerStore

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Lease:
    """A job that this worker holds. The flags are set by the heartbeat and only ever rise."""

    job_id: str
    run: int
    cancel: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    """The row belongs to another run, or to nobody: stop, and write nothing."""


class Heartbeat:
    """Registers the worker, keeps its row and its leases fresh, and raises their flags.

    A database that does not answer ends no job: the fencing token makes a late write harmless,
    and the first heartbeat that gets through says which leases are still ours.
    """

    def __init__(
        self,
        database: Database,
        worker: NewWorker,
        *,
        interval_s: float,
        lease_s: float,
        gpu_memory: Callable[[], tuple[GpuMemory, ...]] = tuple,
    ) -> None:
        """`gpu_memory` must not block."""
        self._gpu_memory = gpu_memory
        self._told: tuple[GpuMemory, ...] = ()
        self._database = database
        self._worker = worker
        self._interval_s = interval_s
        self._lease_s = lease_s
        self._drains = False
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Register, and beat from now on. Raises DatabaseUnavailable."""
        with self._database.transaction() as session:
            WorkerStore(session).register(self._worker)
        self._thread.start()

    def hold(self, job_id: str, run: int) -> Lease:
        """Keep a claimed job's lease from now on. An earlier run of the job, which this worker lost
        without hearing of it yet, is told so."""
        lease = Lease(job_id, run)
        with self._lock:
            for other in self._leases:
                if other.job_id == job_id:
                    other.lost.set()
            self._leases.add(lease)
        return lease

    def release(self, lease: Lease) -> None:
        """Stop renewing; the job is finished or lost."""
        with self._lock:
            self._leases.discard(lease)

    def drain(self) -> None:
        """From the next beat on, say that this worker takes nothing new."""
        self._drains = True

    def close(self) -> None:
        """Stop beating and take the worker's row away."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._interval_s + 5)
        with self._database.transaction() as session:
            WorkerStore(session).remove(self._worker.id)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + self._interval_s
            try:
                self._beat()
            except DatabaseUnavailable as error:
                log.warning("heartbeat: the database does not answer (%s)", error)
            except Exception:  # a thread that dies would cost every job of this worker
                log.exception("heartbeat failed")

    def _beat(self) -> None:
        with self._lock:
            leases = {one.job_id: one for one in self._leases if not one.lost.is_set()}
        memory = self._gpu_memory()
        news = None if memory == self._told else memory
        with self._database.transaction() as session:
            if not WorkerStore(session).heartbeat(self._worker.id, news):
                WorkerStore(session).register(self._worker)  # swept away while we were frozen
                memory = ()  # the new row has none yet
            if self._drains:
                WorkerStore(session).set_draining(self._worker.id)
            held = [(lease.job_id, lease.run) for lease in leases.values()]
            statuses = JobStore(session).heartbeat(self._worker.id, held, self._lease_s)
        self._told = memory
        for job_id, lease in leases.items():
            match statuses.get(job_id):
                case None:
                    lease.lost.set()
                case "cancelling":
                    lease.cancel.set()
                case "pausing":
                    lease.pause.set()
                case _:
                    pass
