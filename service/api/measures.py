"""Figures for Prometheus: requests as they are served, rows as they are when asked."""

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service.api.endings import Endings
from service.api.standing import Standing
from service.contract.webhooks import DeliveryStatus
from service.store.errors import DatabaseUnavailable
from service.store.session import Database

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_RESULTS: Final[dict[DeliveryStatus, str]] = {
    "succeeded": "delivered",
    "pending": "retrying",
    "failed": "given_up",
}

# They are half as many series again, and Prometheus makes nothing of them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Measures:
    """One per application; `observe` and `tried` may be called from anywhere."""

    def __init__(self, streams: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "modelpress_requests",
            "Requests answered by this process.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "modelpress_request_seconds",
            "From a request's headers to the end of its answer; of a stream, its whole life.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._tries = Counter(
            "modelpress_webhook_tries",
            "Tries of this process to deliver a message to a webhook, by what came of them.",
            ("result",),
            registry=registry,
        )
        for result in _RESULTS.values():
            self._tries.labels(result)
        Gauge(
            "modelpress_event_streams", "Event streams open in this process.", registry=registry
        ).set_function(streams)
        Gauge(
            "modelpress_build_info", "1; the version is a label.", ("version",), registry=registry
        ).labels(version("modelpress")).set(1)
        self._broker = Gauge(
            "modelpress_broker_up", "Whether the broker answers this process.", registry=registry
        )
        self._database = Gauge(
            "modelpress_database_up",
            "Whether the database answers this process; without it, no figure of rows is given.",
            registry=registry,
        )
        self._endings = Endings(registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template, so that series stay few."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def tried(self, status: DeliveryStatus) -> None:
        """A try of a message was made, and this is the message's status now."""
        self._tries.labels(_RESULTS[status]).inc()

    def exposition(self, database: Database, alive_s: float, *, broker_up: bool) -> bytes:
        """Everything, in Prometheus' text format. Without a database, what this process knows."""
        self._broker.set(broker_up)
        rows = Standing()
        try:
            self._endings.read(database)
            rows.read(database, alive_s)
        except DatabaseUnavailable as error:
            log.warning("metrics: the database does not answer (%s)", error)
            self._database.set(0)
            return generate_latest(self._registry)
        self._database.set(1)
        return generate_latest(self._registry) + generate_latest(rows.registry)
