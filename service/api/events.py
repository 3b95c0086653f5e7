"""Events: as a list, and as streams (WHATWG server-sent events)."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from service.api.deps import Limit, Reader, ServicesDep, problems
from service.api.feed import Event, Feed, Subscription
from service.api.schemas import event_read, job_read, page
from service.contract.lifecycle import TERMINAL
from service.contract.wire import EventRead, Page
from service.services import Services
from service.store.errors import DatabaseUnavailable
from service.store.events import EventStore
from service.store.jobs import JobStore
from service.store.session import now
from service.store.values import JobFilter

router = APIRouter(prefix="/v1", tags=["events"])

_PROGRESS_S: Final = 0.5
_KEEP_ALIVE_S: Final = 15.0
_STREAM_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

LastEventId = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, description="Go on after this event."),
]


def get_feed(request: Request) -> Feed:
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
    after: Annotated[int, Query(ge=0, description="Events after this one.")] = 0,
    last_event_id: LastEventId = None,
) -> Page[EventRead] | Response:
    """`state`, `phase`, `epoch`, `checkpoint` and `warning` are kept and numbered; a stream also
    carries `progress`, without a number."""
    with services.database.read() as session:
        JobStore(session).get(job_id, caller.project)
        if "text/event-stream" in request.headers.get("accept", ""):
            seen = max(after, last_event_id or 0)
            end = JobStore(session).terminal_event_seq(job_id)
            if end is not None and seen >= end:
                return Response(status_code=204)
            stream = _job_stream(services, feed, job_id, caller.project, seen)
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
    stream = _project_stream(services, feed, caller.project, last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_STREAM_HEADERS)


async def _job_stream(
    services: Services, feed: Feed, job_id: str, project: str, seen: int
) -> AsyncIterator[str]:
    async with feed.subscribe(project, job_id) as subscription:
        shown: str | None = None
        while True:
            past = await asyncio.to_thread(_past, services, job_id, seen)
            for event in past:
                seen = event.id
                yield _frame(event.type, event.model_dump_json(), event.id)
                if event.type == "state" and event.data.get("status") in TERMINAL:
                    return
            progress = await asyncio.to_thread(_progress, services, job_id, project)
            if progress is not None and progress != shown:
                shown = progress
                yield _frame("progress", progress)
            elif not past:
                yield ": still here\n\n"
            await _next(subscription, _PROGRESS_S if progress else _KEEP_ALIVE_S)
            if feed.closing.is_set():
                return


async def _project_stream(
    services: Services, feed: Feed, project: str, seen: int | None
) -> AsyncIterator[str]:
    async with feed.subscribe(project) as subscription:
        yield ": here\n\n"
        if seen is not None:
            for event in await asyncio.to_thread(_past_of_all, services, project, seen):
                yield _frame(event.type, event.model_dump_json(), event.id)
        quiet_since = time.monotonic()
        shown: dict[str, str] = {}
        while not feed.closing.is_set():
            for item in await _next(subscription, _PROGRESS_S):
                if item is None:
                    return  # too slow, or closing: the client comes back with Last-Event-ID
                quiet_since = time.monotonic()
                yield _frame(item.read.type, item.read.model_dump_json(), item.global_id)
            for job_id, progress in (await asyncio.to_thread(_running, services, project)).items():
                if shown.get(job_id) != progress:
                    shown[job_id] = progress
                    quiet_since = time.monotonic()
                    yield _frame("progress", progress)
            if time.monotonic() - quiet_since > _KEEP_ALIVE_S:
                quiet_since = time.monotonic()
                yield ": still here\n\n"


async def _next(subscription: Subscription, timeout_s: float) -> list[Event | None]:
    """What has happened, as soon as something has; nothing when the time is up."""
    try:
        async with asyncio.timeout(timeout_s):
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


def _progress(services: Services, job_id: str, project: str) -> str | None:
    """Where a running job is, as JSON."""
    try:
        with services.database.read() as session:
            row = JobStore(session).get(job_id, project)
            if row.status != "running":
                return None
            read = job_read(
                session, row, now(session), services.settings.lease_s, with_result=False
            )
    except DatabaseUnavailable:
        return None
    if read.progress is None:
        return None
    return f'{{"job":"{job_id}","progress":{read.progress.model_dump_json()}}}'


def _running(services: Services, project: str) -> dict[str, str]:
    with services.database.read() as session:
        rows = JobStore(session).list(JobFilter(project, status="running"), 100)
    found = {row.id: _progress(services, row.id, project) for row in rows}
    return {job_id: progress for job_id, progress in found.items() if progress is not None}


def _frame(kind: str, data: str, event_id: int | None = None) -> str:
    """One event on the wire; `data` is JSON, and so has no line breaks."""
    number = "" if event_id is None else f"id: {event_id}\n"
    return f"event: {kind}\n{number}data: {data}\n\n"
