"""How long things are kept: blobs that no row names, and what settings call too old.

A thread of each API process. Of all of them one works at a time; that two never do is for economy
only, since nothing here minds another's doing the same.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from service.blobs import BlobError, BlobInfo, BlobStore
from service.config import Settings
from service.errands import Errands
from service.store import retention
from service.store.audit import forget_audit
from service.store.blob_uses import blobs_in_use
from service.store.browser_sessions import forget_sessions
from service.store.chores import take
from service.store.session import Database, now

log = logging.getLogger(__name__)

_LOOK_S: Final = 60.0
_BLOBS_AT_ONCE: Final = 200
_ROWS_AT_ONCE: Final = 100  # a batch holds SQLite's one writer for milliseconds
_JOBS_AT_ONCE: Final = 2  # of which each may have a hundred thousand points and 4 MiB of logs
_BATCHES: Final = 1000  # in one round; the next goes on

Forget = Callable[[Session, datetime, int], int]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection deleted, or would have."""

    blobs: int
    bytes: int


def collect(
    database: Database,
    blobs: BlobStore,
    grace_s: float,
    *,
    dry_run: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Collected:
    """Delete the blobs that no row names and that were put longer than `grace_s` ago.

    One that is named by a row which is not committed yet was put within the grace, since putting
    renews the date, or is named by the row that it is copied from, which is held until then. So
    the grace must be longer than any way from a put to a commit, outages of the database included.
    """
    with database.read() as session:
        before = now(session) - timedelta(seconds=grace_s)
    count = size = 0
    for batch in _batches(blob for blob in blobs.list() if blob.modified_at < before):
        if stopping():
            break
        with database.read() as session:
            used = blobs_in_use(session, [blob.sha256 for blob in batch])
        for blob in batch:
            if blob.sha256 in used:
                continue
            if dry_run or blobs.delete_older(blob.sha256, before):
                count, size = count + 1, size + blob.bytes
    return Collected(count, size)


def _batches(found: Iterator[BlobInfo]) -> Iterator[list[BlobInfo]]:
    batch: list[BlobInfo] = []
    for blob in found:
        batch.append(blob)
        if len(batch) == _BLOBS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def forget(
    database: Database, settings: Settings, *, stopping: Callable[[], bool] = lambda: False
) -> dict[str, int]:
    """Delete rows that were kept long enough. Returns how many, by what they are."""
    chosen: dict[str, tuple[float | None, Forget, int]] = {
        "jobs": (settings.keep_jobs_days, retention.forget_jobs, _JOBS_AT_ONCE),
        "checkpoints": (
            settings.keep_checkpoints_days,
            retention.forget_checkpoints,
            _ROWS_AT_ONCE,
        ),
        "events": (settings.keep_events_days, retention.forget_events, _ROWS_AT_ONCE),
        "metrics": (settings.keep_metrics_days, retention.forget_metrics, _JOBS_AT_ONCE),
        "logs": (settings.keep_logs_days, retention.forget_logs, _JOBS_AT_ONCE),
        "audit": (settings.keep_audit_days, forget_audit, _ROWS_AT_ONCE),
        "sessions": (0.0, forget_sessions, _ROWS_AT_ONCE),
    }
    return {
        what: _in_batches(database, days, how, most, stopping)
        for what, (days, how, most) in chosen.items()
        if days is not None
    }


def _in_batches(
    database: Database, days: float, how: Forget, most: int, stopping: Callable[[], bool]
) -> int:
    total = 0
    for _ in range(_BATCHES):
        if stopping():
            break
        with database.transaction() as session:
            gone = how(session, now(session) - timedelta(days=days), most)
        total += gone
        if gone < most:
            break
    return total


class Keeper:
    """The thread."""

    def __init__(self, database: Database, blobs: BlobStore, settings: Settings) -> None:
        self._database = database
        self._blobs = blobs
        self._settings = settings
        self._errands = Errands(
            "keeping", self.keep, pause_s=_LOOK_S, waits_first=True, unavailable=(BlobError,)
        )

    def start(self) -> None:
        """Begin, with a first look after a minute."""
        self._errands.start()

    def close(self) -> None:
        """Stop after the batch under way."""
        self._errands.close()

    def keep(self) -> bool:
        """Do what is due, if no other process does it. What is forgotten first frees blobs. False:
        there is no more of it."""
        with self._database.transaction() as session:
            if not take(session, "keep", self._settings.collect_s):
                return False
        stopping = self._errands.stopping.is_set
        forgotten = forget(self._database, self._settings, stopping=stopping)
        collected = collect(
            self._database,
            self._blobs,
            self._settings.blob_grace_s,
            stopping=stopping,
        )
        if any(forgotten.values()) or collected.blobs:
            log.info("forgot %s; deleted %d blobs", forgotten, collected.blobs)
        return False
