"""What jobs took and how often workers were lost, counted from the events of all processes."""

import threading
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from service.api.unseen import Unseen
from service.contract.lifecycle import TERMINAL
from service.contract.specs import JobKind
from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.values import Clocks

_RUN_SECONDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 36_000.0)
_QUEUE_SECONDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0)


class Endings:
    """Counts what happened since the first scrape of this process.

    From events and not from the rows of jobs: those are deleted, and a counter must not fall. Each
    API process counts the jobs of the whole installation, so take the maximum over processes.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ran = Histogram(
            "modelpress_job_run_seconds",
            "Time that jobs ran, all attempts together, by how they ended.",
            ("kind", "status"),
            buckets=_RUN_SECONDS,
            registry=registry,
        )
        self._waited = Histogram(
            "modelpress_job_queue_seconds",
            "Time that jobs which ended had been queued, all waits together.",
            ("kind",),
            buckets=_QUEUE_SECONDS,
            registry=registry,
        )
        self._lost = Counter(
            "modelpress_leases_lost",
            "Runs that were taken from a worker which was not heard of.",
            registry=registry,
        )
        self._unseen = Unseen(only="state")
        self._begun = False
        self._reading = threading.Lock()
        # From 0 on: a series that appears with its first job hides that job from `increase`.
        for kind in get_args(JobKind):
            self._waited.labels(kind)
            for status in TERMINAL:
                self._ran.labels(kind, status)

    def read(self, database: Database) -> None:
        """Count what is new. Raises DatabaseUnavailable; what it was reading is not counted."""
        with self._reading, database.read() as session:
            events = EventStore(session)
            if not self._begun:
                self._unseen.skip(events)
                self._begun = True
                return
            while rows := self._unseen.read(events):
                ended = [row.job_id for row in rows if row.data["status"] in TERMINAL]
                for clocks in JobStore(session).clocks(ended):
                    self._count(clocks)
                self._lost.inc(sum(row.data.get("reason") == "worker_lost" for row in rows))

    def _count(self, clocks: Clocks) -> None:
        self._ran.labels(clocks.kind, clocks.status).observe(clocks.run_seconds)
        self._waited.labels(clocks.kind).observe(clocks.queue_seconds)
