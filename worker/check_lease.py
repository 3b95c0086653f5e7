"""Keeps the claim on a check while it lasts: short, so that another worker soon takes over."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.store.datasets import DatasetStore
from service.store.errors import DatabaseUnavailable
from service.store.models import ModelStore
from service.store.session import Database

log = logging.getLogger(__name__)


@contextmanager
def kept(
    database: Database,
    store: type[ModelStore] | type[DatasetStore],
    resource_id: str,
    check_run: int,
    *,
    lease_s: float,
    interval_s: float,
) -> Iterator[None]:
    """Extend the claim again and again until the block ends, however long copying and checking
    take. One that another check has taken over is let go: its number fences out what we write."""
    done = threading.Event()

    def extend() -> None:
        while not done.wait(interval_s):
            try:
                with database.transaction() as session:
                    if not store(session).extend_check(resource_id, check_run, lease_s):
                        return
            except DatabaseUnavailable as error:
                log.warning("intake: the claim on %s is not extended: %s", resource_id, error)

    thread = threading.Thread(target=extend, name="check-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
