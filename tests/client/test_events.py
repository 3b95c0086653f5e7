"""Streams of events that break, and waiting on them."""

import itertools
from collections.abc import Iterator

import httpx2
import pytest

from service.client import JobCancelled, JobFailed, Unreachable
from service.client.events import Event
from tests.client.service_double import JOB, Broken, job, problem, serve, sse, stream

RUNNING = (1, "state", {"status": "running"})
EPOCH = (2, "epoch", {"epoch": 1})
HALFWAY = (None, "progress", {"fraction": 0.5})
SUCCEEDED = (3, "state", {"status": "succeeded"})


def shown(status: str, **fields: object) -> httpx2.Response:
    return httpx2.Response(200, json=job(status, **fields))


def test_events_end_at_the_terminal_one() -> None:
    later = (4, "epoch", {"epoch": 2})
    client, _ = serve(shown("running"), stream(sse(RUNNING, HALFWAY, SUCCEEDED, later)))
    events = list(client.jobs.get(JOB).events())
    assert [(event.id, event.type) for event in events] == [
        (1, "state"),
        (None, "progress"),
        (3, "state"),
    ]
    assert events[1].data == {"fraction": 0.5}


def test_a_broken_stream_goes_on_after_the_last_event() -> None:
    client, service = serve(
        shown("running"),
        stream(Broken(sse(RUNNING, EPOCH, HALFWAY))),
        httpx2.ConnectError("refused"),
        problem(503, "unavailable"),
        stream(sse(SUCCEEDED)),
    )
    events = list(client.jobs.get(JOB).events())
    assert [event.id for event in events] == [1, 2, None, 3]
    last_seen = [request.headers.get("last-event-id") for request in service.requests[1:]]
    assert last_seen == [None, "2", "2", "2"]


def test_a_stream_that_was_seen_to_its_end_has_nothing_more() -> None:
    client, service = serve(shown("succeeded"), httpx2.Response(204))
    assert list(client.jobs.get(JOB).events(after=3)) == []
    assert service.requests[-1].headers["last-event-id"] == "3"


def test_a_service_that_stays_away_is_unreachable() -> None:
    client, _ = serve(shown("running"), *[httpx2.ConnectError("refused")] * 3, tries=3)
    with pytest.raises(Unreachable):
        list(client.jobs.get(JOB).events())


def test_a_quiet_stream_may_be_cut_more_often_than_there_are_tries() -> None:
    quiet = [stream(b": still here\n\n") for _ in range(6)]
    client, _ = serve(shown("queued"), *quiet, stream(sse(SUCCEEDED)), tries=2, healthy_s=0.0)
    assert [event.id for event in client.jobs.get(JOB).events()] == [3]


def test_a_stream_that_closes_at_once_each_time_is_given_up() -> None:
    client, _ = serve(shown("queued"), *[stream(b": hello\n\n") for _ in range(3)], tries=3)
    with pytest.raises(Unreachable, match="keeps closing"):
        list(client.jobs.get(JOB).events())


def test_wait_returns_the_finished_job_and_tells_what_happens() -> None:
    client, _ = serve(
        shown("queued"), stream(sse(RUNNING, SUCCEEDED)), shown("succeeded", metrics={"a": 1.0})
    )
    heard: list[Event] = []
    done = client.jobs.get(JOB).wait(on_event=heard.append)
    assert done.data.metrics == {"a": 1.0}
    assert [event.data["status"] for event in heard] == ["running", "succeeded"]


def test_wait_raises_the_error_of_a_failed_job() -> None:
    error = {"code": "diverged", "message": "loss is not finite", "hint": "lower it"}
    failed = (2, "state", {"status": "failed"})
    client, _ = serve(shown("running"), stream(sse(failed)), shown("failed", error=error))
    with pytest.raises(JobFailed) as caught:
        client.jobs.get(JOB).wait()
    assert caught.value.error.code == "diverged"
    assert caught.value.error.hint == "lower it"


def test_wait_tells_cancelled_from_failed() -> None:
    cancelled = (2, "state", {"status": "cancelled"})
    client, _ = serve(shown("running"), stream(sse(cancelled)), shown("cancelled"))
    with pytest.raises(JobCancelled):
        client.jobs.get(JOB).wait()


def test_wait_gives_up_at_its_deadline_when_nothing_comes() -> None:
    def silent(request: httpx2.Request) -> httpx2.Response:
        assert request.extensions["timeout"]["read"] <= 0.05
        raise httpx2.ReadTimeout("nothing came")

    client, _ = serve(shown("queued"), *[silent] * 100_000)
    with pytest.raises(TimeoutError):
        client.jobs.get(JOB).wait(timeout=0.05)


def test_wait_gives_up_at_its_deadline_though_heartbeats_keep_coming() -> None:
    class Heartbeats(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return itertools.repeat(b": still here\n\n")

    client, _ = serve(shown("running"), stream(Heartbeats()))
    with pytest.raises(TimeoutError):
        client.jobs.get(JOB).wait(timeout=0.05)
