"""What a running API process holds: made once by `create_app`, given to every handler."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.audit import Trail
from service.auth import Keyring
from service.blobs import BlobStore
from service.config import Settings
from service.queue import queue_of
from service.store.session import Database


class Nudger(Protocol):
    """What wakes workers without making the caller wait: `Relay`, or a double of it."""

    def nudge(self, queue_name: str, job_id: str) -> None: ...


@dataclass(frozen=True)
class Services:
    """The seams of the service."""

    settings: Settings
    database: Database
    blobs: BlobStore
    relay: Nudger
    keyring: Keyring
    trail: Trail
    broker_reachable: Callable[[], bool]

    def nudge(self, device: str, job_id: str) -> None:
        """Wake a worker for a job that asks for `device`."""
        self.relay.nudge(queue_of(device), job_id)
