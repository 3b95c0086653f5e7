"""The Celery side of a worker: one task, which a nudge runs, and the settings of its pool."""

from collections.abc import Callable

from celery import Celery
from celery.apps.worker import Worker
from celery.signals import setup_logging

from service.queue import TASK, celery_app


def worker_app(broker_url: str, on_nudge: Callable[[], None]) -> Celery:
    """The application whose single task runs whatever the rows offer."""
    app = celery_app(broker_url)

    @app.task(name=TASK)  # type: ignore[untyped-decorator]  # celery has no types
    def run(queue: str, job_id: str) -> None:
        """`queue` and `job_id` are for tracing: the rows say what to do."""
        on_nudge()

    return app


def celery_worker(app: Celery, *, slots: int, queues: tuple[str, ...], name: str) -> Worker:
    """A worker whose pool is threads: the work itself is done by engine children."""
    # Without anyone who does it, Celery sets up logging itself, and raises the level for all.
    setup_logging.connect(_leave_logging)
    return app.Worker(
        pool="threads",
        # Two more than jobs can run: so that a nudge is always taken up at once, and a busy
        # worker leaves nothing in the broker.
        concurrency=slots + 2,
        queues=list(queues),
        hostname=name,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel="WARNING",
    )


def _leave_logging(**_: object) -> None:
    """`service.logs` has set it up."""
