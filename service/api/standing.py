"""How things stand in the rows: jobs, queue, workers, messages. All API processes say the same."""

from typing import Final, get_args

from prometheus_client import CollectorRegistry, Gauge

from service.contract.lifecycle import STATUSES
from service.contract.specs import JobKind
from service.store.deliveries import DeliveryStore
from service.store.exports import ExportStore
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.workers import WorkerStore

_DEVICES: Final = ("cpu", "cuda")


class Standing:
    """One scrape's worth. What there is none of is 0 and not absent, so that rules can tell."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._jobs = self._gauge("jobs", "Jobs that are kept.", "kind", "status")
        self._eligible = self._gauge(
            "queue_eligible_jobs",
            "Queued jobs that wait for a worker only; `cuda` need a GPU, `any` do not.",
            "device",
        )
        self._oldest = self._gauge(
            "queue_oldest_seconds", "Age of the oldest eligible job, or 0.", "device"
        )
        self._workers = self._gauge("workers", "Workers alive, also those that drain.", "device")
        self._draining = self._gauge("workers_draining", "Workers that end.", "device")
        self._slots = self._gauge("worker_slots", "Jobs that can run at once.", "device")
        self._used = self._gauge(
            "gpu_memory_used_bytes", "Memory taken on a worker's GPU, by anyone.", "worker", "gpu"
        )
        self._memory = self._gauge(
            "gpu_memory_bytes", "Memory that a worker's GPU has.", "worker", "gpu"
        )
        self._pending = self._gauge("webhook_messages_pending", "Messages not over.")
        self._oldest_message = self._gauge(
            "webhook_oldest_pending_seconds", "Age of the oldest message not over, or 0."
        )

        self._exports = self._gauge(
            "mlflow_exports",
            "Jobs that ended and are not in MLflow, waiting or given up.",
            "status",
        )
        self._oldest_export = self._gauge(
            "mlflow_oldest_pending_seconds", "Age of the oldest that waits, or 0."
        )

    def _gauge(self, name: str, help_: str, *labels: str) -> Gauge:
        return Gauge(f"modelpress_{name}", help_, labels, registry=self.registry)

    def read(self, database: Database, alive_s: float) -> None:
        """Look at the rows, once. Raises DatabaseUnavailable."""
        with database.read() as session:
            self._read_jobs(JobStore(session))
            self._read_workers(WorkerStore(session), alive_s)
            count, age_s = DeliveryStore(session).pending()
            backlog = ExportStore(session).backlog()
        self._exports.labels("pending").set(backlog.pending)
        self._exports.labels("failed").set(backlog.failed)
        self._oldest_export.set(backlog.oldest_s)
        self._pending.set(count)
        self._oldest_message.set(age_s)

    def _read_jobs(self, jobs: JobStore) -> None:
        counts = jobs.counts_by_kind()
        for kind in get_args(JobKind):
            for status in STATUSES:
                self._jobs.labels(kind, status).set(counts.get((kind, status), 0))
        for device, (count, oldest_s) in jobs.queue_by_device().items():
            self._eligible.labels(device).set(count)
            self._oldest.labels(device).set(oldest_s)

    def _read_workers(self, workers: WorkerStore, alive_s: float) -> None:
        for gauge in (self._workers, self._draining, self._slots):
            for device in _DEVICES:
                gauge.labels(device).set(0)
        for worker in workers.alive(alive_s):
            self._workers.labels(worker.device).inc()
            if worker.draining:
                self._draining.labels(worker.device).inc()
            else:
                self._slots.labels(worker.device).inc(worker.slots)
            for memory in worker.gpu_memory or ():
                gpu = (worker.hostname, str(memory["gpu"]))
                self._used.labels(*gpu).set(memory["used_bytes"])
                self._memory.labels(*gpu).set(memory["total_bytes"])
