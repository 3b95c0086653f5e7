"""Events to streams: one task polls the database for all subscribers, and only while there are."""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from service.api.schemas import event_read
from service.contract.wire import EventRead
from service.store.errors import DatabaseUnavailable
from service.store.events import EventStore
from service.store.session import Database

log = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_OVERLAP: Final = 200  # ids re-read each time: on Postgres a smaller id may commit later
_CAPACITY: Final = 1000


@dataclass(frozen=True, eq=False)
class Event:
    """An event with both of its numbers."""

    global_id: int
    seq: int
    project: str
    read: EventRead


@dataclass(eq=False)
class Subscription:
    """What one stream waits on. A reader too slow for its queue is told so by None."""

    project: str
    job_id: str | None
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(_CAPACITY))


class Feed:
    """Owned by the application; used on its event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: set[Subscription] = set()
        self._wanted = asyncio.Event()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._last_id = 0
        self._task: asyncio.Task[None] | None = None
        self.closing = asyncio.Event()

    @property
    def subscribers(self) -> int:
        """Streams that are open."""
        return len(self._subscriptions)

    def start(self) -> None:
        """Begin, on the running loop."""
        self._task = asyncio.create_task(self._run(), name="event-feed")

    async def close(self) -> None:
        """End every stream, then the task."""
        self.closing.set()
        for subscription in list(self._subscriptions):
            _offer(subscription, None)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.asynccontextmanager
    async def subscribe(
        self, project: str, job_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Events from now on. Subscribe first and read the past then: nothing falls between."""
        subscription = Subscription(project, job_id)
        if not self._subscriptions:
            self._seen.clear()
            self._last_id = await asyncio.to_thread(self._newest)
            await asyncio.to_thread(self._poll)  # what is there already is past
        self._subscriptions.add(subscription)
        self._wanted.set()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._wanted.clear()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                for event in await asyncio.to_thread(self._poll):
                    self._fan_out(event)
            except DatabaseUnavailable as error:
                log.warning("event feed: the database does not answer (%s)", error)
            except Exception:  # a task that dies would leave every stream silent
                log.exception("event feed failed")
            await asyncio.sleep(_POLL_S)

    def _fan_out(self, event: Event) -> None:
        for subscription in list(self._subscriptions):
            if subscription.project == event.project and subscription.job_id in (
                None,
                event.read.job,
            ):
                _offer(subscription, event)

    def _newest(self) -> int:
        with self._database.read() as session:
            return EventStore(session).last_id()

    def _poll(self) -> list[Event]:
        with self._database.read() as session:
            rows = EventStore(session).since(max(0, self._last_id - _OVERLAP))
        fresh = []
        for row in rows:
            if row.id in self._seen:
                continue
            self._seen[row.id] = None
            fresh.append(Event(row.id, row.seq, row.project, event_read(row, of_all=True)))
        if rows:
            self._last_id = max(self._last_id, rows[-1].id)
        while len(self._seen) > 4 * _OVERLAP + len(rows):
            self._seen.popitem(last=False)
        return fresh


def _offer(subscription: Subscription, event: Event | None) -> None:
    queue = subscription.queue
    if queue.full():
        queue.get_nowait()
        event = None
    queue.put_nowait(event)
