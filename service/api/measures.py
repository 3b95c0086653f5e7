"""Figures for Prometheus: requests as they are served, rows as they are when asked."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service.store.jobs import JobStore
from service.store.session import Database
from service.store.workers import WorkerStore

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Measures:
    """One per application; `observe` may be called from anywhere."""

    def __init__(self, streams: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "modelpress_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "modelpress_request_seconds",
            "From a request's headers to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        Gauge(
            "modelpress_event_streams", "Event streams open.", registry=self._registry
        ).set_function(streams)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template, so that series stay few."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def exposition(self, database: Database, alive_s: float) -> bytes:
        """Everything, in Prometheus' text format. Raises DatabaseUnavailable."""
        rows = CollectorRegistry()
        jobs = Gauge("modelpress_jobs", "Jobs.", ("kind", "status"), registry=rows)
        oldest = Gauge(
            "modelpress_queue_oldest_seconds", "Age of the oldest eligible job.", registry=rows
        )
        workers = Gauge("modelpress_workers", "Workers alive.", ("device",), registry=rows)
        slots = Gauge("modelpress_worker_slots", "Jobs that can run at once.", registry=rows)
        with database.read() as session:
            for (kind, status), count in JobStore(session).counts_by_kind().items():
                jobs.labels(kind, status).set(count)
            oldest.set(JobStore(session).oldest_queued_s() or 0.0)
            for worker in WorkerStore(session).alive(alive_s):
                workers.labels(worker.device).inc()
                slots.inc(0 if worker.draining else worker.slots)
        return generate_latest(self._registry) + generate_latest(rows)
