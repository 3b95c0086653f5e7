"""Events: as a list, and as streams (WHATWG server-sent events)."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from service.api.deps import Limit, Reader, ServicesDep, problems
from service.api.feed import Feed, Item, Subscription, Tick, frame
from service.api.schemas import event_read, page
from service.auth import Caller
from service.contract.lifecycle import TERMINAL
from service.contract.wire import EventRead, Page
from service.services import Services
from service.store.events import EventStore
from service.store.jobs import JobStore

router = APIRouter(prefix="/v1", tags=["events"])

_KEEP_ALIVE_S: Final = 15.0
_MOST_EVENTS: Final = 2**63 - 1  # what a column holds; the drivers raise above it
_STILL_HERE: Final = ": still here\n\n"
_STREAM_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

LastEventId = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, le=_MOST_EVENTS, description="Go on after this event."),
]


async def get_feed(request: Request) -> Feed:
    """The application's feed."""
    feed: Feed = request.app.state.feed
    return feed


FeedDep = Annotated[Feed, Depends(get_feed)]


@router.get(
    "/jobs/{job_id}/events",
    name="list_job_events",
    summary="Events of a job",
    response_model=Page[EventRead],
    responses={
        200: {
            "description": "A list, or with `Accept: text/event-stream` a stream that ends with "
            "the job.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "The stream is over: `Last-Event-ID` is the last event."},
        **problems(404),
    },
)
def list_job_events(
    job_id: str,
    request: Request,
    caller: Reader,
    services: ServicesDep,
    feed: FeedDep,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, le=_MOST_EVENTS, description="Events after this one.")] = 0,
    last_event_id: LastEventId = None,
) -> Page[EventRead] | Response:
    """`state`, `phase`, `epoch`, `checkpoint`, `warning` and, after the end, `exported` are kept
    and numbered; a stream also carries `progress`, without a number."""
    with services.database.read() as session:
        JobStore(session).get(job_id, caller.project)
        if "text/event-stream" in request.headers.get("accept", ""):
            seen = max(after, last_event_id or 0)
            end = JobStore(session).terminal_event_seq(job_id)
            if end is not None and seen >= end:
                return Response(status_code=204)
            stream = _job_stream(services, feed, job_id, caller, seen)
            return StreamingResponse(
                stream, media_type="text/event-stream", headers=_STREAM_HEADERS
            )
        rows = EventStore(session).list(job_id, after, limit + 1)
    return page([event_read(row) for row in rows], limit, [str(row.seq) for row in rows])


@router.get(
    "/events",
    name="stream_events",
    summary="Stream of all jobs' changes",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problems(),
    },
)
def stream_events(
    caller: Reader, services: ServicesDep, feed: FeedDep, last_event_id: LastEventId = None
) -> StreamingResponse:
    """One connection for a page that shows many jobs. `progress` events tell of running jobs."""
    stream = _project_stream(services, feed, caller, last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_STREAM_HEADERS)


async def _job_stream(
    services: Services, feed: Feed, job_id: str, caller: Caller, seen: int
) -> AsyncIterator[str]:
    async with feed.subscribe(caller, job_id) as subscription:
        items: list[Item] = [None]  # the past first, then whatever the feed tells
        shown = [tick for tick in feed.ticks(caller.project) if tick.job_id == job_id]
        while not feed.closing.is_set() and not subscription.over:
            if any(not isinstance(item, Tick) for item in items):
                async for event in _replayed(services, job_id, seen):
                    seen = event.id
                    yield frame(event.type, event.model_dump_json(), event.id)
                    if event.type == "state" and event.data.get("status") in TERMINAL:
                        return
            for tick in [*shown, *(item for item in items if isinstance(item, Tick))]:
                yield tick.wire
            if not items:
                yield _STILL_HERE
            shown = []
            items = await _next(subscription)


async def _project_stream(
    services: Services, feed: Feed, caller: Caller, seen: int | None
) -> AsyncIterator[str]:
    project = caller.project
    async with feed.subscribe(caller) as subscription:
        yield _STILL_HERE
        if seen is not None:
            for event in await asyncio.to_thread(_past_of_all, services, project, seen):
                yield frame(event.type, event.model_dump_json(), event.id)
        if ticks := feed.ticks(project):
            yield "".join(tick.wire for tick in ticks)
        while not feed.closing.is_set():
            items = await _next(subscription)
            # one write for all that has happened: there may be hundreds who listen
            told = list(itertools.takewhile(lambda item: item is not None, items))
            text = "".join(item.wire for item in told if item is not None)
            if text or not items:
                yield text or _STILL_HERE
            if len(told) < len(items):
                return  # too slow, or closing: the client comes back with Last-Event-ID


async def _replayed(services: Services, job_id: str, seen: int) -> AsyncIterator[EventRead]:
    """All events after `seen`, a batch at a time."""
    while batch := await asyncio.to_thread(_past, services, job_id, seen):
        for event in batch:
            yield event
        seen = batch[-1].id


async def _next(subscription: Subscription) -> list[Item]:
    """What has happened, as soon as something has; nothing when it is time for a sign of life."""
    try:
        async with asyncio.timeout(_KEEP_ALIVE_S):
            happened = [await subscription.queue.get()]
    except TimeoutError:
        return []
    while not subscription.queue.empty():
        happened.append(subscription.queue.get_nowait())
    return happened


def _past(services: Services, job_id: str, after: int) -> list[EventRead]:
    with services.database.read() as session:
        return [event_read(row) for row in EventStore(session).list(job_id, after)]


def _past_of_all(services: Services, project: str, after: int) -> list[EventRead]:
    with services.database.read() as session:
        rows = EventStore(session).since(after, project)
        return [event_read(row, of_all=True) for row in rows]
