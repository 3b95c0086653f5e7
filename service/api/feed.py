"""Events to streams: one task polls the database for all subscribers, and only while there are."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from service.api.schemas import event_read, progress_read
from service.api.unseen import Unseen
from service.auth import Caller, Keyring
from service.contract.wire import EventRead
from service.store.errors import DatabaseUnavailable
from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.session import Database, now
from service.store.values import JobFilter

log = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_CAPACITY: Final = 1000
_TICK_EVERY: Final = 3  # polls between two looks at the progress of running jobs
_MAX_RUNNING: Final = 1000


@dataclass(frozen=True, eq=False)
class Event:
    """An event with both of its numbers."""

    global_id: int
    seq: int
    project: str
    read: EventRead

    @cached_property
    def wire(self) -> str:
        """As a frame of the stream of all jobs, made once for all who listen."""
        return frame(self.read.type, self.read.model_dump_json(), self.global_id)


@dataclass(frozen=True)
class Tick:
    """Where a running job is: not kept, and so without a number."""

    project: str
    job_id: str
    data: str
    """JSON."""

    @property
    def wire(self) -> str:
        """As a frame."""
        return frame("progress", self.data)


def frame(kind: str, data: str, event_id: int | None = None) -> str:
    """One event on the wire; `data` is JSON, and so has no line breaks."""
    number = "" if event_id is None else f"id: {event_id}\n"
    return f"event: {kind}\n{number}data: {data}\n\n"


Item = Event | Tick | None


@dataclass(eq=False)
class Subscription:
    """What one stream waits on. A reader too slow for its queue is told so by None."""

    caller: Caller
    job_id: str | None
    over: bool = False
    """The key that opened it opens nothing any more, or its sign-in is over."""
    queue: asyncio.Queue[Item] = field(default_factory=lambda: asyncio.Queue(_CAPACITY))


class Feed:
    """Owned by the application; used on its event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keyring = Keyring(database)
        self._subscriptions: set[Subscription] = set()
        self._wanted = asyncio.Event()
        self._unseen = Unseen()
        self._ticks: dict[str, Tick] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._polling = asyncio.Lock()  # one look at a time: it changes what counts as seen
        self.closing = asyncio.Event()

    @property
    def subscribers(self) -> int:
        """Streams that are open."""
        return len(self._subscriptions)

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="event-feed")

    async def close(self) -> None:
        """End every stream, then the task."""
        self._end_streams()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def hang_up(self) -> None:
        """End every stream, from any thread or signal handler: a server that is asked to stop
        waits for its connections before anything else."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end_streams)

    def _end_streams(self) -> None:
        self.closing.set()
        for subscription in list(self._subscriptions):
            _offer(subscription, None)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, caller: Caller, job_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Events from now on. Subscribe first and read the past then: nothing falls between.

        The stream is `over` when its key is revoked or expires, or its browser signs out.
        """
        subscription = Subscription(caller, job_id)
        async with self._polling:
            if not self._subscriptions:
                await asyncio.to_thread(self._skip)
            self._subscriptions.add(subscription)
        self._wanted.set()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._wanted.clear()

    def ticks(self, project: str) -> list[Tick]:
        """Where the project's running jobs were when last looked at."""
        return [tick for tick in self._ticks.values() if tick.project == project]

    async def _run(self) -> None:
        for turn in itertools.count():
            await self._wanted.wait()
            try:
                async with self._polling:
                    fresh = await asyncio.to_thread(self._poll)
                for event in fresh:
                    self._fan_out(event, event.project, event.read.job)
                if turn % _TICK_EVERY == 0:
                    await self._tick()
                    await self._end_those_of_bad_keys()
            except DatabaseUnavailable as error:
                log.warning("event feed: the database does not answer (%s)", error)
            except Exception:  # a task that dies would leave every stream silent
                log.exception("event feed failed")
            await asyncio.sleep(_POLL_S)

    async def _tick(self) -> None:
        projects = {subscription.caller.project for subscription in self._subscriptions}
        before, self._ticks = self._ticks, await asyncio.to_thread(self._running, projects)
        for job_id, tick in self._ticks.items():
            if before.get(job_id) != tick:
                self._fan_out(tick, tick.project, job_id)

    async def _end_those_of_bad_keys(self) -> None:
        streams = list(self._subscriptions)
        callers = [stream.caller for stream in streams]
        over = await asyncio.to_thread(self._keyring.over, callers)
        for stream in streams:
            if stream.caller in over:
                stream.over = True
                _offer(stream, None)

    def _fan_out(self, item: Event | Tick, project: str, job_id: str) -> None:
        for subscription in list(self._subscriptions):
            if subscription.caller.project == project and subscription.job_id in (None, job_id):
                _offer(subscription, item)

    def _running(self, projects: Set[str]) -> dict[str, Tick]:
        found: dict[str, Tick] = {}
        with self._database.read() as session:
            moment = now(session)
            for project in sorted(projects):
                chosen = JobFilter(project, status="running")
                for row in JobStore(session).list(chosen, _MAX_RUNNING):
                    progress = progress_read(row, moment)
                    if progress is not None:
                        data = f'{{"job":"{row.id}","progress":{progress.model_dump_json()}}}'
                        found[row.id] = Tick(project, row.id, data)
        return found

    def _skip(self) -> None:
        with self._database.read() as session:
            self._unseen.skip(EventStore(session))

    def _poll(self) -> list[Event]:
        with self._database.read() as session:
            rows = self._unseen.read(EventStore(session))
        return [Event(row.id, row.seq, row.project, event_read(row, of_all=True)) for row in rows]


def _offer(subscription: Subscription, event: Item) -> None:
    queue = subscription.queue
    if queue.full():
        queue.get_nowait()
        event = None
    queue.put_nowait(event)
