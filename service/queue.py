"""The wake-up call: Celery without tasks of its own.

A message says that there is something to do; the row says what. A message that is lost, doubled or
late changes nothing, so publishing is tried once, quickly, and never retried here.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

TASK: Final = "modelpress.run"
DEFAULT_QUEUE: Final = "default"
GPU_QUEUE: Final = "gpu"


def queue_of(device: str) -> str:
    """The queue for jobs that ask for `device`: only those that need a GPU have their own."""
    return GPU_QUEUE if device == "cuda" else DEFAULT_QUEUE


def celery_app(broker_url: str) -> Celery:
    """The Celery application, set for nudges: early acknowledgement, JSON, no results."""
    app = Celery("modelpress", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,  # a lost worker is found by its lease, in seconds
        task_publish_retry=False,
        task_default_queue=DEFAULT_QUEUE,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,  # nobody asks; saves a reply queue per worker
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 2,  # a broker that hangs must not hold a publisher
            "socket_connect_timeout": 1,
            "retry_on_timeout": False,
            "max_retries": 1,
        },
    )
    return app


class QueueUnavailable(Exception):
    """The broker did not take a message. The sweep will send another."""


class JobQueue:
    """Sends nudges. One thread at a time; see `Relay` for callers that must not wait."""

    def __init__(self, broker_url: str) -> None:
        self._app = celery_app(broker_url)

    def nudge(self, queue: str, job_id: str) -> None:
        """Wake one worker of `queue`; `job_id` is for tracing. Raises QueueUnavailable."""
        try:
            self._app.send_task(TASK, args=[queue, job_id], queue=queue, ignore_result=True)
        except (OperationalError, RedisError, OSError) as error:
            raise QueueUnavailable(str(error)) from error

    def close(self) -> None:
        """Drop the connections."""
        self._app.close()


def broker_answers(broker_url: str, timeout_s: float = 0.5) -> bool:
    """Whether the broker answers within about `timeout_s`: one try, on a connection of its own."""
    try:
        client = _probe(broker_url, timeout_s)
        with client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def _probe(broker_url: str, timeout_s: float) -> Redis:
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
    parts = urlsplit(broker_url)
    if parts.scheme == "redis+socket":  # Celery's spelling
        return Redis(unix_socket_path=parts.path, **options)
    return Redis.from_url(broker_url, **options)
